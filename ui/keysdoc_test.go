package ui

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/screen"
	"horcrux/ui/uitest"
)

// TestKeysDoc holds docs/keys.md to the bindings: it is made from them, by
// go test ./ui -run KeysDoc -update.
func TestKeysDoc(t *testing.T) {
	compare(t, filepath.Join("..", "docs", "keys.md"), keysDoc())
}

func keysDoc() string {
	d := &strings.Builder{}
	fmt.Fprint(d, "# Keys of the console\n\nMade from the bindings by `go test ./ui -run KeysDoc -update`; a test holds it to them. "+
		"`?` shows the same in the console, with the reason for what cannot be done now.\n"+
		"What is marked *asks first* has its safe answer as the default; what *wants the name typed* cannot be done by one key.\n")
	env := newApp(context.Background(), uitest.NewFake(uitest.World(uitest.Epoch), nil), Options{}).env
	vms := []model.VM{*env.Cluster.VMs[0], *env.Cluster.VMs[1]}
	section(d, "Everywhere", global())
	section(d, "In every list", bind.Move())
	for _, p := range []struct {
		title string
		page  screen.Screen
	}{
		{"Cluster", screen.NewCluster(env)},
		{"VM", screen.NewVM(env, vms[0].UUID, vms[0].Node)},
		{"Node", screen.NewNode(env, "node1")},
		{"Where to (VM × node)", screen.NewMatrix(env, vms)},
		{"Migrate", screen.NewMigrate(env, vms, "")},
		{"Job", screen.NewJob(env, "job", model.Job{})},
		{"Moves", screen.NewJobs(env)},
		{"Log", screen.NewLog(env)},
		{"Doctor", screen.NewDoctor(env)},
	} {
		moves := map[string]bool{}
		for _, a := range bind.Move() {
			moves[a.ID] = true
		}
		var own bind.Scope
		for _, a := range p.page.Scope() {
			if !moves[a.ID] {
				own = append(own, a)
			}
		}
		section(d, p.title, own)
	}
	fmt.Fprint(d, "\n## Commands\n\n`:` takes these, with completion; the words are those of the shell.\n\n| command | what it does |\n| --- | --- |\n")
	for _, v := range verbs {
		fmt.Fprintf(d, "| `%s` | %s |\n", strings.TrimSpace(v.name+" "+v.args), v.help)
	}
	return d.String()
}

func section(d *strings.Builder, title string, s bind.Scope) {
	fmt.Fprintf(d, "\n## %s\n\n| key | what it does |\n| --- | --- |\n", title)
	for _, g := range s.Groups() {
		for _, a := range s {
			if a.Group != g {
				continue
			}
			help := a.Help
			if a.Title != "" && !strings.Contains(help, a.Title) {
				help = a.Title + ": " + help
			}
			if m := a.Class.Mark(); m != "" {
				help += " (" + m + ")"
			}
			fmt.Fprintf(d, "| `%s` | %s |\n", strings.ReplaceAll(a.Label(), "|", "\\|"), help)
		}
	}
}
