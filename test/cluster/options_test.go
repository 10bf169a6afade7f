package cluster_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crowsnest-o11y/crowsnest/test/cluster"
)

func TestOptionsFromEnvironment(t *testing.T) {
	t.Setenv("CLUSTER_NUMBER", "3")
	t.Setenv("CLUSTER_NODES", "2")
	t.Setenv("CLUSTER_BACKEND", "native")
	t.Setenv("CLUSTER_LOG_MAX_SIZE", "256Ki")
	t.Setenv("CLUSTER_LOG_MAX_FILES", "4")
	t.Setenv("CLUSTER_LOG_MONITOR_INTERVAL", "3s")
	t.Setenv("CLUSTER_KUBELET_CONFIG", "maxPods: 20")
	got, err := cluster.FromEnvironment()
	want := cluster.Options{Number: 3, Nodes: 2, Dir: ".cluster/3", Backend: "native",
		LogMaxSize: "256Ki", LogMaxFiles: 4, LogMonitorInterval: 3 * time.Second, KubeletConfig: "maxPods: 20"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	for name, value := range map[string]string{
		"CLUSTER_NUMBER": "10", "CLUSTER_NODES": "0", "CLUSTER_BACKEND": "minikube",
		"CLUSTER_LOG_MAX_FILES": "1", "CLUSTER_LOG_MONITOR_INTERVAL": "1s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if o, err := cluster.FromEnvironment(); err == nil {
				t.Errorf("%s=%s gives %+v and no error", name, value, o)
			}
		})
	}
}
