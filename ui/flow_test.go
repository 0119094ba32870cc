package ui

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/uitest"
)

func world(t *testing.T) *driver { return drive(t, uitest.World(uitest.Epoch), nil) }

func TestMigrate(t *testing.T) {
	d := world(t).press("/").typed("web01").press("enter", "m")
	d.sees("migrate web01", "node2", "✓ pass", "node4 is unreachable")
	if n := len(d.fake.Asked()); n != 2 {
		t.Fatalf("%d pre-flights were asked for, want one for each node that answers", n)
	}
	d.press("a").sees("by itself, once all checks pass")
	d.press("b", "backspace").typed("50").press("enter").sees("50 MiB/s")
	if n := len(d.fake.Asked()); n != 4 {
		t.Fatalf("%d pre-flights, want them made again for the new limit", n)
	}
	d.press("enter").sees("web01 to node2", "starting")
	started := d.fake.Started()
	if len(started) != 1 || started[0].To != "node2" || started[0].Options.Bandwidth != 50 || !started[0].Options.AutoConfirm {
		t.Fatalf("started %+v", started)
	}
	d.press("esc").sees("web01").lacks("migrate web01")
}

func TestMigrateAsksWhenThePreflightWarns(t *testing.T) {
	d := world(t).press("/").typed("web01").press("enter", "m", "down")
	d.press("enter").sees("move web01 to node3?", "node3 is 88 % busy")
	d.press("enter").lacks("move web01 to node3?") // enter is not yes
	d.press("enter", "esc").lacks("move web01 to node3?")
	if n := len(d.fake.Started()); n != 0 {
		t.Fatalf("%d moves were started without a yes", n)
	}
	d.press("enter", "y").sees("web01 to node3")
	if n := len(d.fake.Started()); n != 1 {
		t.Fatalf("%d moves were started", n)
	}
}

func TestMigrateRefused(t *testing.T) {
	d := world(t).press("/").typed("db01").press("enter", "m", "down")
	d.sees("→ free memory on node3, or choose")
	d.press("enter").sees("start: not now, memory: the guest needs more")
	if len(d.fake.Started()) != 0 {
		t.Fatal("a refused move was started")
	}
}

func TestMigratePlanFails(t *testing.T) {
	d := world(t)
	d.fake.PlanFunc = func(r model.Request) (model.Plan, error) {
		return model.Plan{}, errors.New("cannot plan on " + string(r.To) + ": the daemon hangs")
	}
	d.press("/").typed("web01").press("enter", "m").sees("✗ fail", "the daemon hangs")
	d.press("enter").sees("not now")
	if len(d.fake.Started()) != 0 {
		t.Fatal("a move without a plan was started")
	}
}

func TestMigrateStartFails(t *testing.T) {
	d := world(t)
	d.fake.StartFunc = func(model.Plan) (model.JobID, error) {
		return "", errors.New("the journal cannot be opened: disk full")
	}
	d.press("/").typed("web01").press("enter", "m", "enter").sees("migrate web01", "disk full")
	d.fake.StartFunc = nil
	d.press("enter").sees("web01 to node2")
}

// TestLatePlan makes sure that the answer to an older question is not shown as
// the answer to the present one.
func TestLatePlan(t *testing.T) {
	d := world(t).press("/").typed("web01").press("enter", "m")
	old := d.fake.Asked()[0]
	d.press("b", "backspace").typed("50").press("enter")
	d.send(screen.PlanArrived{Request: old, Err: errors.New("from long ago")})
	d.lacks("from long ago")
}

func TestMarkedMoveTogether(t *testing.T) {
	d := world(t).press("/").typed("web").press("enter", "ctrl+a", "m")
	d.sees("3 VMs")
	d.press("enter") // node1: web01 and web02 are there already
	started := d.fake.Started()
	if len(started) != 1 || started[0].From != "node2" || started[0].To != "node1" {
		t.Fatalf("started %+v", started)
	}
}

func TestCursorFollowsTheVM(t *testing.T) {
	d := world(t).press("/").typed("web02").press("enter", "esc")
	on := func() string {
		t.Helper()
		for _, l := range strings.Split(d.screen(), "\n") {
			if strings.HasPrefix(l, "▌  ") {
				return strings.Fields(l)[1]
			}
		}
		return ""
	}
	if on() != "web02" {
		t.Fatalf("the cursor is on %q after the filter was cleared", on())
	}
	for _, sort := range []string{"c", "m", "t"} {
		if d.press("s", sort); on() != "web02" {
			t.Fatalf("the cursor is on %q after sorting by %s", on(), sort)
		}
	}
	if d.press("S"); on() != "web02" {
		t.Fatalf("the cursor is on %q after turning the order round", on())
	}
	c := uitest.World(d.now)
	for i := range c.VMs {
		if c.VMs[i].Name == "web02" { // it has moved, and leaves a tombstone
			left := *c.VMs[i]
			left.Tombstone, left.State = true, model.StateShutoff
			c.VMs[i].Node = "node2"
			c.VMs = append([]*model.VM{&left}, c.VMs...)
			break
		}
	}
	d.fake.Push(&c, nil)
	d.idle()
	if on() != "web02" {
		t.Fatalf("the cursor is on %q after the VM has moved", on())
	}
	d.press("enter").sees("node        node2")
}

func TestAbortAsksAndNamesTheJob(t *testing.T) {
	half := func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) }
	d := withJob(t, half).press("a").sees("abort the move?", "web01-node2-7f3a", "keep moving")
	d.press("enter").lacks("abort the move?")
	d.press("a", "esc").lacks("abort the move?")
	if len(d.fake.Done()) != 0 {
		t.Fatal("something was asked of the job without a yes")
	}
	d.press("a", "y").sees("abort asked for")
	if got := d.fake.Done(); len(got) != 1 || got[0].Command.Kind != model.CommandAbort || got[0].Job != "web01-node2-7f3a" {
		t.Fatalf("got %+v", got)
	}
}

// While the disks are compared an abort ends that alone, and says so.
func TestAbortOfTheComparison(t *testing.T) {
	d := withJob(t, func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 1).Compare("node1", "node2") })
	d.sees("web01 runs on node2; comparing the disks: 3.0 GiB of 18 GiB; a ends that")
	d.press("r").sees("the disks are being compared; a ends that, then it can be sent back")
	d.press("a").sees("stop comparing the disks?", "is on node2 and stays there")
	d.press("y").sees("the comparison stops")
	if got := d.fake.Done(); len(got) != 1 || got[0].Command.Kind != model.CommandAbort {
		t.Fatalf("got %+v", got)
	}
}

// TestAbortTooLate puts the question, lets the target take over, and answers
// yes: nothing may happen.
func TestAbortTooLate(t *testing.T) {
	half := func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) }
	d := withJob(t, half).press("a")
	s := uitest.NewScript(d.now).Switch("node1", "node2", "")
	d.fake.Say("web01-node2-7f3a", s.Events...)
	d.idle()
	c := uitest.World(d.now)
	d.fake.Push(&c, nil)
	d.idle()
	d.sees("there is nothing to abort").press("y")
	if len(d.fake.Done()) != 0 {
		t.Fatal("an abort was sent after the switch")
	}
	d.press("esc").sees("moved, waits for your word", "running here")
}

func TestConfirmAndRollback(t *testing.T) {
	moved := func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	}
	d := withJob(t, moved)
	d.press("a").sees("abort: not now, the target has taken over")
	d.press("c").sees("confirm the move?").press("tab", "enter")
	d.press("r").sees("roll back?", "Send back").press("y")
	got := d.fake.Done()
	if len(got) != 2 || got[0].Command.Kind != model.CommandConfirm || got[1].Command.Kind != model.CommandRollback {
		t.Fatalf("got %+v", got)
	}
}

// TestTheConsoleOfAMovedVM: who is to confirm a move may look inside first, while
// the acts of the life cycle are the move's.
func TestTheConsoleOfAMovedVM(t *testing.T) {
	c := uitest.World(uitest.Epoch)
	c.VMs[0].Job = "web01-node2-7f3a"
	d := drive(t, c, nil).press("/").typed("web01").press("enter", "a").sees("shut down", "not now: a move has hold of web01")
	if s := d.screen(); !strings.Contains(s, "its serial console") {
		t.Errorf("the console is refused:\n%s", s)
	}
	s, began := at(func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	})
	j := uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events)
	drive(t, c, []model.Job{j}).press("/").typed("web01").press("enter", "a").sees("not now: its move waits to be confirmed")
}

// TestSettle: what a lost process left is settled by a key, after a question.
func TestSettle(t *testing.T) {
	withJob(t, func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) }).press("s").sees("settle: not now")
	j := move("web01-node2-7f3a", 1, "web01", "node1", "node2", uitest.Epoch.Add(-time.Minute))
	j.State, j.Interrupted = model.JobInterrupted, &model.Result{Outcome: model.OutcomePerson, Owner: "node1", Reason: "its process ended"}
	d := drive(t, uitest.World(uitest.Epoch), []model.Job{j}).press("J", "enter").sees("web01 is on node1", "its process ended", "s settles it")
	d.press("s").sees("settle the move?", "Both nodes are asked").press("tab", "enter")
	if got := d.fake.Done(); len(got) != 1 || got[0].Command.Kind != model.CommandRecover {
		t.Errorf("got %+v", got)
	}
}

// TestKeepWantsTheName puts what no rule can settle to a person.
func TestKeepWantsTheName(t *testing.T) {
	d := withJob(t, undecided)
	d.press("o").sees("keep web01 on", "loses").press("j", "enter")
	d.sees("keep it on node2?", "node1 says: paused", "Lost: what the guest wrote on node1", "type web01").press("y", "enter").sees("keep it on node2?")
	if len(d.fake.Done()) != 0 {
		t.Fatal("kept without the name")
	}
	d.press("backspace").typed("web01").press("enter").lacks("keep it on node2?")
	if got := d.fake.Done(); len(got) != 1 || got[0].Command.Kind != model.CommandKeep || got[0].Command.Keep != "node2" {
		t.Errorf("got %+v", got)
	}
}

// TestRestoreWantsTheName kills the guest on the target: the way back loses
// data, so the name must be typed.
func TestRestoreWantsTheName(t *testing.T) {
	moved := func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	}
	d := withJob(t, moved)
	c := uitest.World(d.now)
	c.VMs[0].Node, c.VMs[0].State = "node2", model.StateCrashed
	d.fake.Push(&c, nil)
	d.idle()
	d.press("r").sees("restore the source?", "is lost", "type web01")
	d.press("y", "enter").sees("restore the source?")
	d.press("backspace").typed("web0").press("enter").sees("restore the source?")
	if len(d.fake.Done()) != 0 {
		t.Fatal("restored without the name")
	}
	d.send(tea.PasteMsg{Content: "1\n"})
	d.press("enter").lacks("restore the source?")
	if got := d.fake.Done(); len(got) != 1 || got[0].Command.Kind != model.CommandRestore {
		t.Fatal("not restored with the name")
	}
}

func TestTune(t *testing.T) {
	half := func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) }
	d := withJob(t, half).press("b").sees("bandwidth limit").typed("x").press("enter").sees("a whole number")
	d.press("backspace", "backspace").typed("80").press("enter", "d", "enter")
	got := d.fake.Done()
	if len(got) != 2 || *got[0].Command.Bandwidth != 80 || got[0].Command.MaxDowntime != nil || *got[1].Command.MaxDowntime != 900*time.Millisecond {
		t.Fatalf("got %+v", got)
	}
}

// TestReplay follows a job from its beginning after the list has told of it:
// nothing is counted twice, and a page left stops listening.
func TestReplay(t *testing.T) {
	s, began := at(func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) })
	j := uitest.Fold(move("j1", 1, "web01", "node1", "node2", began), s.Events)
	d := drive(t, uitest.World(uitest.Epoch), []model.Job{j})
	d.fake.Say("j1", s.Events...)
	d.press("J", "enter").sees("memory", "web01")
	d.press("tab")
	if n := strings.Count(d.screen(), "copying vda while the guest runs"); n != 1 {
		t.Fatalf("the log line is there %d times", n)
	}
	if d.app.follow == nil {
		t.Fatal("the job is not followed")
	}
	d.press("esc")
	if d.app.follow != nil {
		t.Fatal("the job is followed after its page was left")
	}
}

func TestJobsThatEndElsewhere(t *testing.T) {
	s, began := at(func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) })
	j := uitest.Fold(move("j1", 1, "web01", "node1", "node2", began), s.Events)
	d := drive(t, uitest.World(uitest.Epoch), []model.Job{j})
	d.lacks("waits for confirm")
	j = uitest.Fold(j, uitest.NewScript(d.now).Switch("node1", "node2", "").Events)
	d.fake.Push(nil, []model.Job{j})
	d.idle()
	d.sees("web01 moved to node2 and waits for confirm")
	if len(d.raw) != 1 || d.raw[0] != "\a" {
		t.Fatalf("the bell rang %q", d.raw)
	}
	d.pass(20 * time.Second).lacks("waits for confirm")
	d.press("L").sees("web01 moved to node2 and waits for confirm")
}

// TestAges lets time pass without news.
func TestAges(t *testing.T) {
	d := drive(t, uitest.World(uitest.Epoch), nil)
	d.sees("512").lacks(" ago")
	d.pass(7*time.Second).sees("7 s", "● running 7 s")
	d.pass(40 * time.Second).sees("was running").lacks("512")
}

// TestNoTickWhenNothingMoves makes sure that an idle console draws nothing.
func TestNoTickWhenNothingMoves(t *testing.T) {
	d := drive(t, model.Cluster{At: uitest.Epoch}, nil)
	d.pass(restAfter) // the last timer is for the person's absence
	if len(d.timers) != 0 {
		t.Fatalf("%d timers run while nothing changes", len(d.timers))
	}
}

// TestSentBack opens a move that was taken back: nothing waits for a word any
// more, and the job that brought the VM home is one key away.
func TestSentBack(t *testing.T) {
	s, began := at(func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	})
	j := uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events)
	home := move("web01-node1-9b2c", 1, "web01", "node2", "node1", uitest.Epoch)
	home.SendsBack, home.State = j.ID, model.JobDone
	j.State, j.Result = model.JobUndone, &model.Result{Outcome: model.OutcomeUndone, Owner: "node1", Reason: "sent back"}
	d := drive(t, uitest.World(uitest.Epoch), []model.Job{home, j})
	d.press("J", "down", "enter").sees("not any more", "has brought it back; enter opens it")
	d.press("enter").sees("sends back web01-node2-7f3a")
}

func TestOpenMovesOnly(t *testing.T) {
	j := move("web01-node2-7f3a", 1, "web01", "node1", "node2", uitest.Epoch)
	j.State = model.JobDone
	d := drive(t, uitest.World(uitest.Epoch), []model.Job{j}).press("J", "o")
	d.sees("0 of 1 move", "every move is over; o shows them").press("o").sees("web01")
}
