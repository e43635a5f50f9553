package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type fluxTool struct {
	manager *ssa.ResourceManager
}

func newFlux() (*fluxTool, error) {
	rest, err := config()
	if err != nil {
		return nil, err
	}
	connection, err := client.New(rest, client.Options{})
	if err != nil {
		return nil, err
	}
	owner := ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}
	return &fluxTool{ssa.NewResourceManager(connection, nil, owner)}, nil
}

// ask applies an object as Flux' kustomize-controller does, or with the mode "diff" only tells
// what that would do: created, configured or unchanged.
func (f *fluxTool) ask(
	ctx context.Context, wanted *unstructured.Unstructured, mode string,
) (answer, error) {
	if err := normalize.Unstructured(wanted); err != nil {
		return answer{}, err
	}
	f.manager.SetOwnerLabels([]*unstructured.Unstructured{wanted}, "vendorsync", "flux-system")
	switch mode {
	case "apply":
		change, err := f.manager.Apply(ctx, wanted, ssa.DefaultApplyOptions())
		if err != nil {
			return answer{}, err
		}
		return answer{Verdict: change.Action.String()}, nil
	case "diff":
		return f.diff(ctx, wanted)
	}
	return answer{}, fmt.Errorf("Flux has no mode %q", mode)
}

func (f *fluxTool) diff(ctx context.Context, wanted *unstructured.Unstructured) (answer, error) {
	change, live, predicted, err := f.manager.Diff(ctx, wanted, ssa.DefaultDiffOptions())
	if err != nil {
		return answer{}, err
	}
	reply := answer{Verdict: change.Action.String()}
	if live != nil && predicted != nil {
		if reply.Live, err = json.Marshal(live); err != nil {
			return answer{}, err
		}
		if reply.Predicted, err = json.Marshal(predicted); err != nil {
			return answer{}, err
		}
	}
	return reply, nil
}
