package main

import (
	"fmt"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
)

// The field manager of Argo CD's server-side applies.
const argoCDManager = "argocd-controller"

type argoCDTool struct {
	parser *managedfields.GvkParser
	runner diff.ServerSideDryRunner
}

func newArgoCD() (*argoCDTool, error) {
	rest, err := config()
	if err != nil {
		return nil, err
	}
	kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	resources, parser, err := kubectl.LoadOpenAPISchema(rest)
	if err != nil {
		return nil, err
	}
	watched := func(string) (kube.CleanupFunc, error) { return func() {}, nil }
	applier, _, err := kube.ManageServerSideDiffDryRuns(
		rest, resources, tracing.NopTracer{}, logr.Discard(), watched,
	)
	if err != nil {
		return nil, err
	}
	return &argoCDTool{parser, diff.NewK8sServerSideDryRunner(applier)}, nil
}

// diff tells whether an application with the object would be OutOfSync. The modes are those of
// Argo CD: "client" by default, "merge" with the sync option ServerSideApply=true, "server" with
// the compare option ServerSideDiff=true.
func (a *argoCDTool) diff(wanted, live *unstructured.Unstructured, mode string) (answer, error) {
	options := []diff.Option{
		diff.WithLogr(logr.Discard()),
		diff.WithGVKParser(a.parser),
		diff.WithManager(argoCDManager),
	}
	switch mode {
	case "client":
	case "merge":
		options = append(options, diff.WithStructuredMergeDiff(true))
	case "server":
		options = append(
			options, diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(a.runner),
		)
	default:
		return answer{}, fmt.Errorf("Argo CD has no mode %q", mode)
	}
	found, err := diff.Diff(wanted, live, options...)
	if err != nil {
		return answer{}, err
	}
	if !found.Modified {
		return answer{Verdict: "Synced"}, nil
	}
	return answer{
		Verdict: "OutOfSync", Live: found.NormalizedLive, Predicted: found.PredictedLive,
	}, nil
}
