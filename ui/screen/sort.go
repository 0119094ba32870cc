package screen

import (
	"cmp"
	"slices"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/widget"
)

// sortKey is one way to order VMs; big ones first where that is what is looked
// for. Equal ones are ordered by name, then UUID, then node, so no row jumps.
type sortKey struct {
	id, key, title string
	compare        func(a, b *model.VM) int
}

var sortKeys = []sortKey{
	{"name", "n", "name", func(_, _ *model.VM) int { return 0 }},
	{"node", "o", "node", func(a, b *model.VM) int { return strings.Compare(string(a.Node), string(b.Node)) }},
	{"state", "t", "state", func(a, b *model.VM) int { return cmp.Compare(stateRank(a), stateRank(b)) }},
	{"cpu", "c", "CPU use", func(a, b *model.VM) int { return cmp.Compare(b.CPUPercent, a.CPUPercent) }},
	{"mem", "m", "memory", func(a, b *model.VM) int { return cmp.Compare(b.Memory, a.Memory) }},
	{"vcpu", "v", "vCPUs", func(a, b *model.VM) int { return cmp.Compare(b.VCPUs, a.VCPUs) }},
	{"disk", "d", "disk rate", func(a, b *model.VM) int {
		return cmp.Compare(b.DiskRead+b.DiskWrite, a.DiskRead+a.DiskWrite)
	}},
	{"net", "e", "network rate", func(a, b *model.VM) int { return cmp.Compare(b.NetRx+b.NetTx, a.NetRx+a.NetTx) }},
}

// stateRank puts what needs a look first.
func stateRank(v *model.VM) int {
	switch v.State {
	case model.StateCrashed:
		return 0
	case model.StateUnreachable, model.StateNone:
		return 1
	case model.StatePaused, model.StateSuspended, model.StateBlocked:
		return 2
	case model.StateShutdown:
		return 3
	case model.StateRunning:
		return 4
	}
	return 5
}

func findSort(id string) sortKey {
	for _, k := range sortKeys {
		if k.id == id {
			return k
		}
	}
	return sortKeys[0]
}

func sortMenu(current string) widget.Menu {
	m := widget.Menu{Title: "sort by"}
	for i, k := range sortKeys {
		note := ""
		if k.id == current {
			note, m.Cursor = "now", i
		}
		m.Items = append(m.Items, widget.Item{ID: k.id, Title: k.title, Key: k.key, Note: note})
	}
	return m
}

// sortVMs orders indices into vms.
func sortVMs(vms []model.VM, order []int, id string, reverse bool) {
	k := findSort(id)
	slices.SortFunc(order, func(i, j int) int {
		a, b := &vms[i], &vms[j]
		c := k.compare(a, b)
		if c == 0 {
			c = natural(a.Name, b.Name)
		}
		if reverse {
			c = -c
		}
		if c == 0 {
			c = strings.Compare(string(a.UUID), string(b.UUID))
		}
		if c == 0 {
			c = strings.Compare(string(a.Node), string(b.Node))
		}
		return c
	})
}

// natural compares names so that web2 comes before web10.
func natural(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if !digit(a[i]) || !digit(b[j]) {
			if a[i] != b[j] {
				return cmp.Compare(a[i], b[j])
			}
			i++
			j++
			continue
		}
		si, sj := i, j
		for i < len(a) && digit(a[i]) {
			i++
		}
		for j < len(b) && digit(b[j]) {
			j++
		}
		x, y := strings.TrimLeft(a[si:i], "0"), strings.TrimLeft(b[sj:j], "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(a)-i, len(b)-j), strings.Compare(a, b))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
