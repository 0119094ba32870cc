package inventory

import (
	"fmt"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

func TestPace(t *testing.T) {
	const half, s = 500 * time.Millisecond, time.Second
	for name, c := range map[string]struct {
		in   situation
		want pace
	}{
		"one look at all":           {situation{interval: half, unsaid: true, size: 10000}, pace{half, half, half, half}},
		"a few VMs":                 {situation{interval: half, size: 0}, pace{half, s, 2 * s, 2 * s}},
		"ten thousand":              {situation{interval: half, size: 10000}, pace{half, 2 * s, 3 * s, 27 * s}},
		"ordered by a figure":       {situation{interval: half, size: 10000, all: true}, pace{half, 2 * s, 3 * s, 6 * s}},
		"libvirt without events":    {situation{interval: half, size: 10000, deaf: true}, pace{half, 2 * s, 3 * s, 6 * s}},
		"nobody there":              {situation{interval: half, size: 10000, away: true}, pace{3 * s, 3 * s, 3 * s, 54 * s}},
		"nobody there, few":         {situation{interval: half, away: true}, pace{3 * s, 3 * s, 3 * s, 4 * s}},
		"more than can be swept":    {situation{interval: half, size: 100000}, pace{half, 2 * s, 3 * s, time.Minute}},
		"a slow interval is a wish": {situation{interval: 2 * time.Minute, size: 10, away: true}, pace{120 * s, 120 * s, 120 * s, 120 * s}},
	} {
		if got := paceFor(c.in); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestGap(t *testing.T) {
	for _, c := range []struct {
		n    News
		size int
		away bool
		want time.Duration
	}{
		{Urgent, 10000, true, 0},
		{Seen, 0, false, 200 * time.Millisecond},
		{Seen, 10000, false, time.Second},
		{Seen, 10, true, 2500 * time.Millisecond},
		{Unseen, 0, false, time.Second},
		{Unseen, 10000, false, 5 * time.Second},
	} {
		if got := Gap(c.n, c.size, c.away); got != c.want {
			t.Errorf("news %d, %d VMs, away %v: %v, want %v", c.n, c.size, c.away, got, c.want)
		}
	}
}

// A node of ten VMs after its first reading: who is asked, and when.
func TestDue(t *testing.T) {
	began := time.Now()
	fresh := func() *watcher {
		inv := closedNodes(t, 1)
		w := inv.watchers[0]
		inv.Look(model.Sight{})
		var refs []virt.DomainRef
		for i := range 10 {
			refs = append(refs, virt.DomainRef{UUID: model.UUID(fmt.Sprint(i)), Name: fmt.Sprint("vm", i), ID: int32(i)})
		}
		w.listed(refs, began)
		w.asking(question{all: true})
		for _, r := range refs {
			w.counted(&model.DomainStats{UUID: r.UUID, At: began, State: model.DomainStatus{State: model.StateRunning}})
		}
		w.sweptAt, w.loadAt, w.sweeps = began, began, 2
		return w
	}
	look := func(s model.Sight) func(*watcher) { return func(w *watcher) { w.inv.Look(s) } }
	row := model.Sight{VMs: []model.Place{{UUID: "3", Node: "node0"}, {UUID: "4", Node: "other"}}}
	failed := func(after time.Duration) func(*watcher) {
		return func(w *watcher) { w.failed(began.Add(after)) }
	}
	for name, c := range map[string]struct {
		do    func(*watcher)
		after time.Duration
		ids   int
		list  bool
		load  bool
		all   bool
	}{
		"nothing at once":       {after: time.Second},
		"all when it is time":   {after: 3 * time.Second, list: true, load: true, all: true},
		"a row in a second":     {do: look(row), after: time.Second, ids: 1},
		"a row not sooner":      {do: look(row), after: 500 * time.Millisecond},
		"half of them as all":   {do: look(model.Sight{Close: []model.UUID{"0", "1", "2", "3", "4", "5"}}), after: time.Second, all: true, load: true},
		"a VM looked at":        {do: look(model.Sight{Close: []model.UUID{"5"}}), after: time.Second, ids: 1, load: true},
		"a row, nobody there":   {do: look(model.Sight{VMs: row.VMs, Away: true}), after: 2 * time.Second},
		"what libvirt told of":  {do: func(w *watcher) { w.hint("7") }, after: 0, ids: 1, list: true},
		"somebody new":          {do: func(w *watcher) { w.hint("new") }, after: 0, list: true},
		"failed":                {do: failed(0), after: time.Second},
		"failed, after a while": {do: failed(0), after: idle, list: true, load: true, all: true},
		"failed twice":          {do: func(w *watcher) { failed(0)(w); failed(time.Second)(w) }, after: idle, list: true, load: true, all: true},
		"failed, and a row":     {do: func(w *watcher) { failed(0)(w); look(row)(w) }, after: time.Second, ids: 1},
		"a hint that was asked": {do: func(w *watcher) { w.hint("7"); w.relist = false; w.asking(question{ids: []model.UUID{"7"}}) }, after: 0},
	} {
		w := fresh()
		if c.do != nil {
			c.do(w)
		}
		q, wait := w.due(began.Add(c.after))
		if len(q.ids) != c.ids || q.list != c.list || q.load != c.load || q.all != c.all {
			t.Errorf("%s: %+v", name, q)
		}
		if q.none() && wait <= 0 {
			t.Errorf("%s: waits for %v", name, wait)
		}
	}
}

// A VM that was only listed has no state yet, and one that runs is not called
// transient before the host was asked.
func TestWhatIsNotKnownIsNotSaid(t *testing.T) {
	inv := closedNodes(t, 1)
	w := inv.watchers[0]
	w.listed([]virt.DomainRef{{UUID: "u", Name: "web", ID: 3}}, time.Unix(1, 0))
	w.touched(Urgent)
	if v := inv.Snapshot().VMs[0]; v.State != model.StateUnknown || !v.Unsettled || !v.Seen.Equal(time.Unix(1, 0)) {
		t.Errorf("%+v", v)
	}
}
