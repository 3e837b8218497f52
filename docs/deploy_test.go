package docs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// manifest is what of a DaemonSet the daemon depends on.
type manifest struct {
	Kind string
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				HostNetwork    bool        `yaml:"hostNetwork"`
				InitContainers []container `yaml:"initContainers"`
				Containers     []container
				Volumes        []struct{ Name string }
			}
		}
	}
}

type container struct {
	Name            string
	SecurityContext struct {
		Privileged   bool
		Capabilities struct{ Add, Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

// The DaemonSet is YAML without keys that are there twice; its labels, capabilities (those of TestCapabilities in integration) and
// volumes fit together.
func TestDaemonSet(t *testing.T) {
	text, err := os.ReadFile("deploy/daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var m manifest
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Errorf("a second document, or none: %v", err)
	}
	pod := m.Spec.Template.Spec
	if m.Kind != "DaemonSet" || !pod.HostNetwork || len(pod.Containers) != 1 {
		t.Fatalf("kind %q, %+v", m.Kind, pod)
	}
	if d := cmp.Diff(m.Spec.Selector.MatchLabels, m.Spec.Template.Metadata.Labels); d != "" || len(m.Spec.Selector.MatchLabels) == 0 {
		t.Errorf("the selector does not fit the labels:\n%s", d)
	}
	daemon := pod.Containers[0]
	caps := daemon.SecurityContext.Capabilities
	if daemon.SecurityContext.Privileged || !slices.Equal(caps.Drop, []string{"ALL"}) ||
		!slices.Equal(caps.Add, []string{"NET_ADMIN", "BPF", "PERFMON", "NET_RAW"}) {
		t.Errorf("rights %+v", daemon.SecurityContext)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = false
	}
	var paths []string
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, v := range c.VolumeMounts {
			if _, ok := volumes[v.Name]; !ok {
				t.Errorf("%s mounts the unknown volume %s", c.Name, v.Name)
			}
			volumes[v.Name] = true
		}
	}
	for _, v := range daemon.VolumeMounts {
		paths = append(paths, v.MountPath)
	}
	for name, used := range volumes {
		if !used {
			t.Errorf("volume %s is not mounted", name)
		}
	}
	for _, want := range []string{"/run/openvswitch", "/sys/fs/bpf", "/dev/net/tun"} {
		if !slices.Contains(paths, want) {
			t.Errorf("%s is not mounted", want)
		}
	}
}
