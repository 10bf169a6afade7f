//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// workload is one of test/workload/manifests that logs.
type workload struct {
	name      string // also the service's
	container string
	owner     string // structured metadata that has the name; "": none
	lines     uint64 // of each run; 0: no end
}

// workloads: who comes first has the pods whose names begin like another's.
var workloads = []workload{
	{name: "frontend", container: "frontend", owner: "k8s_deployment_name"},
	{name: "checkout", container: "checkout", owner: "k8s_deployment_name"},
	{name: "payment", container: "payment", owner: "k8s_deployment_name"},
	{name: "crashing", container: "crashing", owner: "k8s_deployment_name", lines: 10},
	{name: "hungry", container: "hungry", owner: "k8s_deployment_name", lines: 5},
	{name: "logging", container: "logging", owner: "k8s_deployment_name", lines: 15000},
	{name: "unready", container: "unready", owner: "k8s_deployment_name", lines: 1},
	{name: "postgres", container: "postgres", owner: "k8s_statefulset_name"},
	{name: "migrate-badly", container: "migrate", owner: "k8s_job_name", lines: 2},
	{name: "migrate", container: "migrate", owner: "k8s_job_name", lines: 20},
	{name: "bare", container: "bare", lines: 3},
	{name: "report", container: "report", owner: "k8s_cronjob_name", lines: 5},
}

func workloadOf(pod string) (workload, bool) {
	for _, w := range workloads {
		if strings.HasPrefix(pod, w.name+"-") || pod == w.name {
			return w, true
		}
	}
	return workload{}, false
}

// reachStates waits until all that can be wrong with a pod is.
func (in *installation) reachStates(t *testing.T) {
	for name, want := range map[string]func(corev1.Pod) error{
		"crashing": func(p corev1.Pod) error {
			return restarted(p, 2, "Error", 3)
		},
		"hungry": func(p corev1.Pod) error {
			return restarted(p, 1, "OOMKilled", 137)
		},
		"homeless": func(p corev1.Pod) error {
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
					return nil
				}
			}
			return errors.New("not unschedulable")
		},
		"unready": func(p corev1.Pod) error {
			if p.Status.Phase != corev1.PodRunning || ready(p) {
				return fmt.Errorf("phase %s, Ready %t", p.Status.Phase, ready(p))
			}
			return nil
		},
		"postgres": readyOrError, "frontend": readyOrError, "checkout": readyOrError, "payment": readyOrError, "logging": readyOrError,
	} {
		eventually(t, "such state of "+name, func(ctx context.Context) error {
			pods, err := in.pods(ctx, shop, "app.kubernetes.io/name="+name)
			if err == nil && len(pods) == 0 {
				err = errors.New("no pod")
			}
			for _, p := range pods {
				if e := want(p); e != nil {
					err = fmt.Errorf("pod %s: %w", p.Name, e)
				}
			}
			return err
		})
	}
	in.endJobs(t)
}

func readyOrError(p corev1.Pod) error {
	if !ready(p) {
		return errors.New("not Ready")
	}
	return nil
}

func restarted(p corev1.Pod, times int32, reason string, code int32) error {
	if len(p.Status.ContainerStatuses) == 0 {
		return errors.New("no container yet")
	}
	c := p.Status.ContainerStatuses[0]
	end := c.LastTerminationState.Terminated
	if c.RestartCount < times || end == nil || end.Reason != reason || end.ExitCode != code {
		return fmt.Errorf("%d restarts, last end %+v; want %d by %s, exit code %d", c.RestartCount, end, times, reason, code)
	}
	return nil
}

// endJobs waits until one Job succeeded, one failed, and the CronJob had a run.
func (in *installation) endJobs(t *testing.T) {
	t.Helper()
	for prefix, want := range map[string]batchv1.JobConditionType{
		"migrate": batchv1.JobComplete, "migrate-badly": batchv1.JobFailed, "report-": batchv1.JobComplete,
	} {
		eventually(t, fmt.Sprintf("Job %s with condition %s", prefix, want), func(ctx context.Context) error {
			body, err := in.get(ctx, "/apis/batch/v1/namespaces/"+shop+"/jobs", nil)
			if err != nil {
				return err
			}
			var jobs batchv1.JobList
			if err := json.Unmarshal(body, &jobs); err != nil {
				return err
			}
			for _, j := range jobs.Items {
				for _, c := range j.Status.Conditions {
					if (j.Name == prefix || strings.HasPrefix(prefix, "report") && strings.HasPrefix(j.Name, prefix)) &&
						c.Type == want && c.Status == corev1.ConditionTrue {
						return nil
					}
				}
			}
			return errors.New("none")
		})
	}
}
