// Answers what GitOps tools make of an object, by the modules that these tools are made of.
//
// Reads JSON lines {"ask", "object", "live", "mode", "script"} and writes one JSON line for each:
// {"verdict", "message"}, with {"live", "predicted"} beside them where a tool would change the
// live object, or {"error"}. What asks a cluster finds it by KUBECONFIG.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const longestLine = 16 << 20

type question struct {
	Ask    string                     `json:"ask"`
	Object *unstructured.Unstructured `json:"object"`
	Live   *unstructured.Unstructured `json:"live,omitempty"`
	Mode   string                     `json:"mode,omitempty"`
	Script string                     `json:"script,omitempty"`
}

type answer struct {
	Verdict   string          `json:"verdict,omitempty"`
	Message   string          `json:"message,omitempty"`
	Live      json.RawMessage `json:"live,omitempty"`
	Predicted json.RawMessage `json:"predicted,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// A connection is made when the first question needs it: the others are asked without a cluster.
var (
	argoCD = sync.OnceValues(newArgoCD)
	flux   = sync.OnceValues(newFlux)
	config = sync.OnceValues(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{},
	).ClientConfig)
)

func main() {
	log.SetLogger(logr.Discard())
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longestLine)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		reply, err := ask(context.Background(), lines.Bytes())
		if err != nil {
			reply = answer{Error: err.Error()}
		}
		if err := out.Encode(reply); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func ask(ctx context.Context, line []byte) (answer, error) {
	var q question
	if err := json.Unmarshal(line, &q); err != nil {
		return answer{}, err
	}
	switch q.Ask {
	case "kstatus":
		found, err := status.Compute(q.Object)
		if err != nil {
			return answer{}, err
		}
		return answer{Verdict: found.Status.String(), Message: found.Message}, nil
	case "health":
		return health(ctx, q.Object, q.Script)
	case "argocd":
		tool, err := argoCD()
		if err != nil {
			return answer{}, err
		}
		return tool.diff(q.Object, q.Live, q.Mode)
	case "flux":
		tool, err := flux()
		if err != nil {
			return answer{}, err
		}
		return tool.ask(ctx, q.Object, q.Mode)
	}
	return answer{}, fmt.Errorf("nobody knows the question %q", q.Ask)
}
