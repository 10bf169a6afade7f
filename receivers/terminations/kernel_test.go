package terminations

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	uid = "0cad4968-4128-448a-a299-08149131294a"
)

func TestOOMKills(t *testing.T) {
	for _, c := range []struct {
		file string
		want uint64
		ok   bool
	}{
		{"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7, true},
		{"low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n", 2, true},
		{"oom_kill_disable 0\nunder_oom 0\n", 0, false},
		{"oom_kill x\n", 0, false},
		{"", 0, false},
	} {
		if got, ok := oomKills([]byte(c.file)); got != c.want || ok != c.ok {
			t.Errorf("%q: %d %v", c.file, got, ok)
		}
	}
}

func TestNamesOfCgroups(t *testing.T) {
	for _, name := range []string{idA, "cri-containerd-" + idA + ".scope", "crio-" + idA + ".scope", "docker-" + idA + ".scope"} {
		if got, ok := containerOfCgroup(name); got != idA || !ok {
			t.Errorf("%s: %q %v", name, got, ok)
		}
	}
	for _, name := range []string{"pod" + uid, "kubepods", "", "x.scope", idA + "0", strings.ToUpper(idA), "-"} {
		if got, ok := containerOfCgroup(name); ok {
			t.Errorf("%s is of container %q", name, got)
		}
	}
	for _, name := range []string{"pod" + uid, "kubepods-besteffort-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice", "kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice"} {
		if got, ok := podOfCgroup(name); got != uid || !ok {
			t.Errorf("%s: %q %v", name, got, ok)
		}
	}
	for _, name := range []string{"kubepods", "kubepods-burstable.slice", "system.slice", "besteffort"} {
		if got, ok := podOfCgroup(name); ok {
			t.Errorf("%s is of pod %q", name, got)
		}
	}
}

func write(t *testing.T, content string, elements ...string) {
	t.Helper()
	path := filepath.Join(elements...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestKernelUnified has files as cgroup v2 has them: this machine may have v1.
func TestKernelUnified(t *testing.T) {
	root := t.TempDir()
	pod := filepath.Join(root, "kubepods.slice", "kubepods-burstable.slice", "kubepods-burstable-pod"+strings.ReplaceAll(uid, "-", "_")+".slice")
	write(t, "cpu memory\n", root, "cgroup.controllers")
	write(t, "oom_kill 5\n", pod, "memory.events")
	write(t, "oom_kill 2\n", pod, "cri-containerd-"+idA+".scope", "memory.events")
	k, err := newKernel(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.find(); err != nil {
		t.Fatal(err)
	}
	if kills, ok := k.kills(idA); kills != 2 || !ok {
		t.Errorf("container: %d %v", kills, ok)
	}
	if kills, ok := k.killsOfPod(uid); kills != 5 || !ok {
		t.Errorf("pod: %d %v", kills, ok)
	}
	if _, ok := k.kills(idB); ok {
		t.Error("a container that is not there has kills")
	}
	write(t, "oom_kill 1\n", pod, "cri-containerd-"+idB+".scope", "memory.events")
	k.locate(idB, uid)
	if kills, ok := k.kills(idB); kills != 1 || !ok {
		t.Errorf("new container: %d %v", kills, ok)
	}
	if err := os.RemoveAll(filepath.Join(pod, "cri-containerd-"+idA+".scope")); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.kills(idA); ok {
		t.Error("a container that is gone has kills")
	}
}

func TestKernelV1(t *testing.T) {
	root := t.TempDir()
	write(t, "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", root, "memory", "kubepods", "pod"+uid, idA, "memory.oom_control")
	k, err := newKernel(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.find(); err != nil {
		t.Fatal(err)
	}
	if kills, ok := k.kills(idA); kills != 3 || !ok {
		t.Errorf("container: %d %v", kills, ok)
	}
	if _, ok := k.killsOfPod(uid); ok {
		t.Error("a pod's count is not that of its containers on v1")
	}
}

func TestNoCgroups(t *testing.T) {
	if _, err := newKernel(t.TempDir()); err == nil || !strings.Contains(err.Error(), "find cgroups") {
		t.Errorf("error: %v", err)
	}
	if k, err := newKernel(""); k != nil || err != nil {
		t.Error(k, err)
	}
}

func FuzzOOMKills(f *testing.F) {
	f.Add([]byte("oom_kill 7\n"))
	f.Fuzz(func(_ *testing.T, file []byte) { oomKills(file) })
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}
