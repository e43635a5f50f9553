package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

// health runs a health check as Argo CD does: on gopher-lua, with the libraries that a script of
// a cluster's own settings has, the object as the global obj, a second of time, and a table with
// status and message as its result.
func health(
	ctx context.Context, object *unstructured.Unstructured, script string,
) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, library := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(library), Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return answer{}, err
		}
	}
	state.SetContext(ctx)
	state.SetGlobal("obj", luajson.DecodeValue(state, plain(object.Object)))
	if err := state.DoString(script); err != nil {
		return answer{}, err
	}
	text, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return answer{}, err
	}
	var found struct{ Status, Message string }
	if err := json.Unmarshal(text, &found); err != nil {
		return answer{}, fmt.Errorf("the script returned %s: %w", text, err)
	}
	return answer{Verdict: found.Status, Message: found.Message}, nil
}

// plain returns a value with the numbers that gopher-json knows.
func plain(value any) any {
	switch value := value.(type) {
	case int64:
		return float64(value)
	case []any:
		for index, each := range value {
			value[index] = plain(each)
		}
	case map[string]any:
		for name, each := range value {
			value[name] = plain(each)
		}
	}
	return value
}
