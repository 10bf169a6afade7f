package chart

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crowsnest-o11y/crowsnest/pipeline"
	"github.com/crowsnest-o11y/crowsnest/pipeline/agent"
	"github.com/crowsnest-o11y/crowsnest/pipeline/aggregator"
)

// The arguments, variables and YAML that the chart gives the programs are ones
// that they take: names of fragments, of variables and of keys drift apart
// otherwise.
func TestProgramsAcceptWhatTheChartGivesThem(t *testing.T) {
	for _, name := range scenarios(t) {
		objects := decode(t, render(t, name))
		for component, program := range map[string]pipeline.Program{
			"agent": agent.Program(), "aggregator": aggregator.Program(),
		} {
			t.Run(name+"/"+component, func(t *testing.T) {
				pod := workload(objects, component)
				if pod == nil {
					if name == "agents-only" && component == "aggregator" {
						return
					}
					t.Fatalf("no workload for %s", component)
				}
				setEnvironment(t, pod)
				args := append([]string{"validate"}, arguments(t, pod, overlay(t, objects, pod))...)
				var stdout, stderr bytes.Buffer
				if code := program.Run(t.Context(), args, &stdout, &stderr); code != pipeline.ExitOK {
					t.Errorf("%s %s: exit code %d\n%s%s", program.Name, strings.Join(args, " "), code, &stdout, &stderr)
				}
			})
		}
	}
}

// workload is the pod template of a component, nil if there is none.
func workload(objects []object, component string) any {
	for _, o := range objects {
		if !slices.Contains([]string{"DaemonSet", "Deployment"}, o.kind()) {
			continue
		}
		if at(o, "metadata", "labels", "app.kubernetes.io/component") == component {
			return at(o, "spec", "template")
		}
	}
	return nil
}

func container(pod any) any { return at(pod, "spec", "containers", 0) }

// setEnvironment gives this process the pod's variables, as the kubelet would
// expand them on a node.
func setEnvironment(t *testing.T, pod any) {
	t.Helper()
	variables, _ := at(container(pod), "env").([]any)
	known := map[string]string{}
	for _, v := range variables {
		name, _ := at(v, "name").(string)
		value, plain := at(v, "value").(string)
		switch {
		case plain:
			for other, text := range known {
				value = strings.ReplaceAll(value, "$("+other+")", text)
			}
			if strings.Contains(value, "$(") {
				t.Errorf("%s is %q: refers to a variable that is not before it", name, value)
			}
		case at(v, "valueFrom", "fieldRef", "fieldPath") == "status.hostIP":
			value = "192.0.2.7"
			if strings.Contains(fmt.Sprint(variables), "[$(") {
				value = "2001:db8::7"
			}
		default:
			value = "from-elsewhere"
		}
		known[name] = value
		t.Setenv(name, value)
	}
}

// overlay writes the user's YAML where it can be read and returns the file.
func overlay(t *testing.T, objects []object, pod any) string {
	t.Helper()
	volumes, _ := at(pod, "spec", "volumes").([]any)
	for _, v := range volumes {
		if name, ok := at(v, "configMap", "name").(string); ok && at(v, "name") == "config" {
			text, _ := at(find(t, objects, "ConfigMap", name), "data", "overlay.yaml").(string)
			file := filepath.Join(t.TempDir(), "overlay.yaml")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			return file
		}
	}
	t.Fatal("the pod has no volume with its configuration")
	return ""
}

func arguments(t *testing.T, pod any, overlay string) []string {
	t.Helper()
	const mounted = "--config=/etc/crowsnest/config/overlay.yaml"
	list, _ := at(container(pod), "args").([]any)
	var args []string
	for _, a := range list {
		args = append(args, strings.Replace(fmt.Sprint(a), mounted, "--config="+overlay, 1))
	}
	if !slices.Contains(args, "--config="+overlay) {
		t.Fatalf("arguments %q do not name %s", args, mounted)
	}
	return args
}
