package virt

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

func TestReadSnapshot(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       model.Snapshot
	}{
		{
			"inside the disks, with memory",
			`<domainsnapshot><name>before</name><description>the update</description><state>running</state>` +
				`<parent><name>first</name></parent><creationTime>1700000000</creationTime><memory snapshot='internal'/>` +
				`<disks><disk name='vda' snapshot='internal'/><disk name='sda' snapshot='no'/></disks><active>1</active>` +
				`<domain type='kvm'><name>web</name><memory>1</memory></domain></domainsnapshot>`,
			model.Snapshot{Name: "before", Description: "the update", Parent: "first", State: model.StateRunning, Created: time.Unix(1700000000, 0), Current: true},
		},
		{
			"one of two disks outside",
			`<domainsnapshot><name>x</name><state>shutoff</state><creationTime>1</creationTime><disks><disk name='vda' snapshot='internal'/>` +
				`<disk name='vdb' snapshot='external' type='file'><driver type='qcow2'/><source file='/d/vdb.x'/></disk></disks></domainsnapshot>`,
			model.Snapshot{Name: "x", State: model.StateShutoff, Created: time.Unix(1, 0), External: true},
		},
		{
			"disks only",
			`<domainsnapshot><name>y</name><state>disk-snapshot</state><disks><disk name='vda' snapshot='external'/></disks><active>0</active></domainsnapshot>`,
			model.Snapshot{Name: "y", State: "disk-snapshot", External: true},
		},
		{"no time", `<domainsnapshot><name>z</name><creationTime>soon</creationTime></domainsnapshot>`, model.Snapshot{Name: "z"}},
		{"a time that is too long", `<domainsnapshot><name>z</name><creationTime>99999999999999999999</creationTime></domainsnapshot>`, model.Snapshot{Name: "z"}},
		{
			"what no terminal is to see",
			"<domainsnapshot><name>a\u202eb</name><description>c\nd\u009be</description><state>run\u200bning</state><parent><name>\u2066p</name></parent></domainsnapshot>",
			model.Snapshot{Name: "ab", Description: "c de", State: model.StateRunning, Parent: "p"},
		},
		{"nothing in it", `<domainsnapshot/>`, model.Snapshot{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readSnapshot(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadSnapshotRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "",
		"cut":     "<domainsnapshot><name>x</name>",
		"deep":    strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1),
		"long":    "<domainsnapshot><name>" + strings.Repeat("x", maxXML) + "</name></domainsnapshot>",
		"doctype": `<!DOCTYPE x [<!ENTITY a "b">]><domainsnapshot/>`,
		"other":   "<domain><name>x</name></domain>",
		"no XML":  "error: no such snapshot",
	} {
		if s, err := readSnapshot(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, s)
		}
	}
}

func FuzzReadSnapshot(f *testing.F) {
	f.Add(`<domainsnapshot><name>a</name><parent><name>b</name></parent><creationTime>7</creationTime><active>1</active></domainsnapshot>`)
	f.Add(`<domainsnapshot><name>a</name><disks><disk name='vda' snapshot='external'/></disks><domain><name>w</name></domain></domainsnapshot>`)
	f.Add("<domainsnapshot><description>\u202e\n</description></domainsnapshot>")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readSnapshot(text)
		if err != nil {
			return
		}
		for _, shown := range []string{s.Name, s.Description, s.Parent, string(s.State)} {
			if Clean(shown) != shown {
				t.Errorf("%q is not clean", shown)
			}
		}
	})
}
