package ui

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"horcrux/config"
	"horcrux/ui/theme"
	"horcrux/ui/uitest"
)

// TestNodeNamesAreWhole gives a node a name as hosts have them: in 80 columns it
// is not cut, neither over the VMs nor beside them.
func TestNodeNamesAreWhole(t *testing.T) {
	c := uitest.World(uitest.Epoch)
	for i := range c.VMs {
		if c.VMs[i].Node == "node1" {
			c.VMs[i].Node = "kvm-prod-01"
		}
	}
	c.Nodes[0].Name = "kvm-prod-01"
	d := drive(t, c, nil).size(80, 24)
	d.sees("db01              kvm-prod-01").press("shift+tab").sees("▌  kvm-prod-01")
}

// TestSortedByWhatIsNotSeen keeps the order explained where its column has no room.
func TestSortedByWhatIsNotSeen(t *testing.T) {
	d := drive(t, uitest.World(uitest.Epoch), nil).size(80, 24).press("s", "u").sees("VMS  17, by uptime ▲")
	d.press("S").sees("by uptime ▼").size(200, 60).lacks("by uptime").sees("▼uptime")
	drive(t, uitest.World(uitest.Epoch), nil).size(80, 24).press("w").sees("no room for it").size(200, 60).press("esc", "w").lacks("no room for it")
}

// TestSomeAreThereAlready marks VMs of two nodes: the target that has some of
// them says whom it does not speak of.
func TestSomeAreThereAlready(t *testing.T) {
	world(t).press("/").typed("web").press("enter", "ctrl+a", "m").sees("web01, web02 are there already", "web10 is there already")
}

// TestFirstStartSaysWhy shows a host that cannot be reached: all of the cause is
// on the screen, and what may be done.
func TestFirstStartSaysWhy(t *testing.T) {
	f := &first{
		ctx: context.Background(), th: theme.New(theme.Mono), state: map[string]tried{}, w: 80, h: 24,
		opt: FirstOptions{Hosts: []config.Candidate{{Name: "a", Address: "a.example.net"}}, Path: "/tmp/config.toml"},
	}
	f.state["a.example.net"] = tried{err: errors.New("refused: the key of a.example.net is not known, and nobody was asked; its fingerprint is SHA256:abcdefghijklmnopqrstuvwxyz END")}
	got := ansi.Strip(f.content())
	for _, want := range []string{"END", "t tries it again", "enter writes"} {
		if !strings.Contains(got, want) {
			t.Errorf("the screen lacks %q:\n%s", want, got)
		}
	}
}
