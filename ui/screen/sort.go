package screen

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/widget"
)

// sortKey is one way to order VMs; big ones first where that is what is looked
// for. Equal ones are ordered by name, UUID and node, so no row jumps.
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
	{"up", "u", "uptime", func(a, b *model.VM) int { return started(a).Compare(started(b)) }},
	{"address", "a", "address", func(a, b *model.VM) int { return strings.Compare(address(a), address(b)) }},
	{"agent", "g", "agent", func(a, b *model.VM) int { return strings.Compare(string(a.Agent), string(b.Agent)) }},
	{"tags", "#", "tags", func(a, b *model.VM) int { return strings.Compare(tags(a), tags(b)) }},
	{"net", "e", "network rate", func(a, b *model.VM) int { return cmp.Compare(b.NetRx+b.NetTx, a.NetRx+a.NetTx) }},
}

func sortTitle(id string) string {
	for _, k := range sortKeys {
		if k.id == id {
			return k.title
		}
	}
	return id
}

// started puts what does not run last.
func started(v *model.VM) time.Time {
	if v.Started.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return v.Started
}

// address puts what has none last.
func address(v *model.VM) string {
	if len(v.Addresses) == 0 || !isLive(v) {
		return "~"
	}
	return v.Addresses[0]
}

// tags puts what has none last.
func tags(v *model.VM) string {
	if len(v.Tags) == 0 {
		return "~"
	}
	return strings.Join(v.Tags, " ")
}

// stateRank puts what needs a look first.
func stateRank(v *model.VM) int {
	switch v.State {
	case model.StateCrashed:
		return 0
	case model.StateUnreachable, model.StateNone, model.StateUnknown:
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

// byNode orders VMs by the place of their node, before anything else.
func byNode(vms []*model.VM, nodes []model.Node, order []int) {
	place := make(map[model.NodeName]int, len(nodes))
	for i := range nodes {
		place[nodes[i].Name] = i + 1
	}
	slices.SortStableFunc(order, func(i, j int) int { return place[vms[i].Node] - place[vms[j].Node] })
}

// names keeps VMs in the order of their names from one update to the next.
// Names hardly ever change, so most updates only find that all is in order;
// every other order then breaks its ties by comparing two numbers.
type names struct {
	of    []*model.VM // the VMs the order was made for
	order []int       // indices of VMs, by name
	rank  []int       // the place of each VM in order
}

// refresh makes the order fit new VMs, and tells whether it did already.
func (n *names) refresh(vms []*model.VM) (same bool) {
	same = len(n.of) == len(vms)
	for i := 0; same && i < len(vms); i++ {
		a, b := n.of[i], vms[i]
		same = a == b || a.Name == b.Name && a.UUID == b.UUID && a.Node == b.Node
	}
	n.of = vms
	if same {
		return true
	}
	if len(n.order) != len(vms) {
		n.order = make([]int, len(vms))
		for i := range n.order {
			n.order[i] = i
		}
		n.rank = make([]int, len(vms))
	}
	byName := func(i, j int) int {
		a, b := vms[i], vms[j]
		c := natural(a.Name, b.Name)
		if c == 0 {
			c = cmp.Or(strings.Compare(string(a.UUID), string(b.UUID)), strings.Compare(string(a.Node), string(b.Node)))
		}
		return c
	}
	if !slices.IsSortedFunc(n.order, byName) {
		slices.SortFunc(n.order, byName)
	}
	for place, i := range n.order {
		n.rank[i] = place
	}
	return false
}

// sort orders indices into vms. An order that was made before and still holds
// costs one look at each.
func (n *names) sort(vms []*model.VM, order []int, id string, reverse bool) {
	k := findSort(id)
	byKey := func(i, j int) int {
		c := k.compare(vms[i], vms[j])
		if c == 0 {
			c = n.rank[i] - n.rank[j]
		}
		if reverse {
			return -c
		}
		return c
	}
	if !slices.IsSortedFunc(order, byKey) {
		slices.SortFunc(order, byKey)
	}
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
