// Answers when a CronJob fires, by the module and the calls that the CronJob controller uses:
// cron.ParseStandard("TZ=zone expression") and Next, from pkg/controller/cronjob of Kubernetes.
//
// Reads JSON lines {"zone", "expression", "after", "count"} and writes one JSON line for each:
// {"times"} or {"error"}. Times are seconds since the epoch; fewer than count when robfig/cron
// finds none within five years. The zones come from the folder that ZONEINFO names.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

type question struct {
	Zone       string `json:"zone"`
	Expression string `json:"expression"`
	After      int64  `json:"after"`
	Count      int    `json:"count"`
}

type answer struct {
	Times []int64 `json:"times"`
	Error string  `json:"error,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		times, err := ask(lines.Bytes())
		reply := answer{Times: times}
		if err != nil {
			reply.Error = err.Error()
		}
		if err := out.Encode(reply); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func ask(line []byte) ([]int64, error) {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return nil, err
	}
	if _, err := time.LoadLocation(q.Zone); err != nil {
		return nil, err
	}
	schedule, err := cron.ParseStandard(fmt.Sprintf("TZ=%s %s", q.Zone, q.Expression))
	if err != nil {
		return nil, err
	}
	times := []int64{}
	at := time.Unix(q.After, 0).UTC()
	for range q.Count {
		if at = schedule.Next(at); at.IsZero() {
			break
		}
		times = append(times, at.Unix())
	}
	return times, nil
}
