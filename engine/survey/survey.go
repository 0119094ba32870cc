// Package survey asks two nodes everything that a plan needs to know, and every
// node what doctor wants to know.
//
// It changes nothing on any host, with one exception that is undone at once: to
// prove that two nodes see the same directory it writes a mark of a few bytes
// there through one node, reads it through the other, and removes it. To see
// whether the source reaches the target it has the source's sshd open a
// connection to a port there where nothing listens.
package survey

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/maintenance"
	"horcrux/engine/model"
	"horcrux/engine/plan"
	"horcrux/engine/queue"
)

// within bounds one survey. Probing QEMU for the first time was seen to take
// half a minute.
const within = 90 * time.Second

// Local is what this machine knows besides the hosts: other jobs, and which
// nodes are in maintenance.
type Local struct {
	Store *jobs.Store
	// Own is the job that asks; it does not stand in its own way.
	Own model.JobID
	// SendsBack is the job that this move takes back.
	SendsBack model.JobID
}

// Plan asks both nodes and makes the plan. Only what makes asking pointless is
// an error; everything else is a finding.
func Plan(ctx context.Context, f *fleet.Fleet, l Local, r model.Request, now func() time.Time) (model.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	src, ok := f.Node(r.From)
	if !ok {
		return model.Plan{}, fmt.Errorf("cannot plan: node %q is not in the configuration", r.From)
	}
	dst, ok := f.Node(r.To)
	if !ok {
		return model.Plan{}, fmt.Errorf("cannot plan: node %q is not in the configuration", r.To)
	}
	waitBoth(ctx, src, dst)
	vm, err := vmFacts(ctx, src, r.VM)
	if err != nil {
		if reason, down := silent(src); down {
			return plan.Make(r, plan.VMFacts{}, plan.HostFacts{Name: r.From, Reason: reason}, plan.HostFacts{Name: r.To, Reason: reasonOf(dst)}, nil, now()), nil
		}
		return model.Plan{}, fmt.Errorf("cannot plan: %w", err)
	}
	if err := cold(ctx, src, r, &vm); err != nil {
		return model.Plan{}, fmt.Errorf("cannot plan: %w", err)
	}
	if l.Store != nil {
		vm.Console = l.Store.Console()
	}
	var (
		wg       sync.WaitGroup
		s, d     plan.HostFacts
		way, ssh plan.ReachFact
		sf, df   plan.ForwardFact
		sl, dl   []string
		byMemory = plan.MovesMemory(r)
	)
	wg.Go(func() { s = hostFacts(ctx, src, vm) })
	wg.Go(func() {
		d = hostFacts(ctx, dst, vm)
		if r.Options.Policy == model.PolicyPostCopy {
			d.NoPostCopy = noPostCopy(ctx, dst)
		}
		if vm.Domain.TPM == "emulator" {
			d.NoTPM = lacks(ctx, dst, tpmScript)
		}
	})
	wg.Go(func() {
		var both sync.WaitGroup
		if maySSH(r) {
			both.Go(func() { ssh = reach(ctx, src.ReachesSSH, dst, strconv.Itoa(dst.MigratePort())) })
			both.Go(func() { sl = lacks(ctx, src, lacksScript) })
			both.Go(func() { dl = lacks(ctx, dst, joinsScript) })
		}
		if r.Options.Path != model.PathRelay && r.Options.Path != model.PathSSH {
			way = reach(ctx, src.Reaches, dst, reachPort)
		}
		both.Wait()
		if byMemory && mayRelay(r, way) {
			both.Go(func() { sf = forward(ctx, src) })
			both.Go(func() { df = forward(ctx, dst) })
			both.Wait()
		}
	})
	wg.Wait()
	s.Forward, d.Forward, d.Reach, d.ReachSSH, s.Lacks, d.Lacks = sf, df, way, ssh, sl, dl
	var proofs plan.SharedProof
	if s.Reachable && d.Reachable {
		if len(vm.Files) > 0 {
			coldTarget(ctx, dst, vm.Files, &d)
		}
		proofs = prove(ctx, src, dst, vm.Domain.Disks, d.Files)
		proveDevices(ctx, src, dst, vm.Domain, proofs, &d)
	}
	if l.Store != nil {
		moves, err := l.Store.Queue()
		if err != nil {
			return model.Plan{}, fmt.Errorf("cannot plan: %w", err)
		}
		d.MemPromised, d.PromisedTo = queue.Promised(moves, r.To, l.Own)
	}
	p := plan.Make(r, vm, s, d, proofs, now())
	if p.Way == model.PathDirect && d.Reach.Refused {
		if d.Reach = heard(ctx, src, dst, d.Reach); !d.Reach.Reached {
			if byMemory && mayRelay(r, d.Reach) {
				wg.Go(func() { s.Forward = forward(ctx, src) })
				wg.Go(func() { d.Forward = forward(ctx, dst) })
				wg.Wait()
			}
			p = plan.Make(r, vm, s, d, proofs, now())
		}
	}
	return withLocal(p, l), nil
}

// waitBoth gives nodes that are still being dialled a moment.
func waitBoth(ctx context.Context, nodes ...*fleet.Node) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Add(1)
		go func() { defer wg.Done(); _ = n.Wait(ctx) }()
	}
	wg.Wait()
}

func silent(n *fleet.Node) (reason string, down bool) {
	st, reason, _ := n.Status()
	return reason, st != model.NodeUp && st != model.NodeBusy
}

func reasonOf(n *fleet.Node) string {
	r, _ := silent(n)
	return r
}

// withLocal adds what this machine forbids: a move to a node in maintenance, a
// second unfinished move of the VM, and one while the last one's leftovers wait
// for a decision. The marks are read last, as asking the nodes may take a while.
func withLocal(p model.Plan, l Local) model.Plan {
	if l.Store == nil {
		return p
	}
	if l.SendsBack != "" {
		// Its definition where it is now is ours, and lasts until that move is confirmed.
		if v, err := journal.Read(l.Store.Dir(l.SendsBack)); err == nil && v.Plan != nil && v.Plan.VM == p.VM {
			p.Transient = p.Transient || v.Plan.Transient
		}
	}
	f := model.Finding{ID: "other-jobs", Title: "jobs of this console", Verdict: model.Pass, Detail: "none has hold of this VM"}
	ids, err := l.Store.IDs()
	if err != nil {
		f.Verdict, f.Detail, f.Remedy = model.Fail, err.Error(), "make the state folder readable"
	}
	for _, id := range ids {
		if id == l.Own || id == l.SendsBack {
			continue
		}
		v, err := journal.Read(l.Store.Dir(id))
		if err != nil || v.Plan == nil || v.Plan.VM != p.VM {
			continue
		}
		switch {
		case v.AwaitsConfirm():
			f.Verdict = model.Fail
			f.Detail = fmt.Sprintf("job %s moved it from %s to %s and waits to be confirmed", id, v.Plan.From, v.Plan.To)
			f.Remedy = fmt.Sprintf("horcrux confirm %s, or horcrux rollback %s", id, id)
		case l.Store.Alive(id) && v.Waiting:
			f.Verdict = model.Fail
			f.Detail = fmt.Sprintf("job %s waits in the queue to move it from %s to %s", id, v.Plan.From, v.Plan.To)
			f.Remedy = fmt.Sprintf("take it out of the queue: horcrux abort %s", id)
		case l.Store.Alive(id):
			f.Verdict = model.Fail
			f.Detail = fmt.Sprintf("job %s is moving it from %s to %s", id, v.Plan.From, v.Plan.To)
			f.Remedy = fmt.Sprintf("wait for it, or stop it: horcrux abort %s", id)
		case len(v.Debts) > 0:
			f.Verdict = model.Fail
			f.Detail = fmt.Sprintf("job %s owes %s a clean-up of what it left of this VM there", id, v.Debts[0].Node)
			f.Remedy = fmt.Sprintf("once %s answers: horcrux recover", v.Debts[0].Node)
		case !v.Settled() && !v.Over:
			f.Verdict = model.Fail
			f.Detail = fmt.Sprintf("job %s from %s to %s was interrupted and is not settled", id, v.Plan.From, v.Plan.To)
			f.Remedy = "horcrux recover"
		}
	}
	p.Findings = append(p.Findings, f)
	return maintenance.Judge(l.Store.Root(), p)
}
