package virt

import (
	"context"
	"errors"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// The words are virsh's (domstate --reason), by libvirt's number.
var (
	stateWords = []model.DomainState{
		model.StateNone, model.StateRunning, model.StateBlocked, model.StatePaused,
		model.StateShutdown, model.StateShutoff, model.StateCrashed, model.StateSuspended,
	}
	reasonWords = map[model.DomainState][]string{
		model.StateRunning: {
			"unknown", "booted", "migrated", "restored", "from snapshot", "unpaused", "migration canceled",
			"save canceled", "wakeup", "crashed", "postcopy", "postcopy failed",
		},
		model.StatePaused: {
			"unknown", "user", "migration", "save", "dump", "ioerror", "watchdog", "from snapshot", "shutting down",
			"snapshot", "crashed", "starting up", "postcopy", "postcopy failed", "api error",
		},
		model.StateShutdown: {"unknown", "user"},
		model.StateShutoff: {
			"unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from snapshot", "daemon",
		},
		model.StateCrashed: {"unknown", "panicked"},
	}
)

func stateWord(n int32) model.DomainState {
	if n >= 0 && int(n) < len(stateWords) {
		return stateWords[n]
	}
	return model.StateNone
}

func reasonWord(s model.DomainState, n int32) string {
	words := reasonWords[s]
	if n >= 0 && int(n) < len(words) {
		return words[n]
	}
	return "unknown"
}

// jobQuestion bounds the question for a job: libvirt may keep it waiting for
// 30 s behind the very job that is asked for.
const jobQuestion = 5 * time.Second

// Status says what this host knows of a domain, for decisions. A missing
// domain is an answer (StateMissing, no error). If the host did not answer, the
// state is StateUnreachable and the error says why: never read that as dead.
// When libvirt does not say in time whether a job is active, one is assumed.
func (c *Conn) Status(ctx context.Context, uuid model.UUID) (model.DomainStatus, error) {
	ctx, cancel := bounded(ctx, slow)
	defer cancel()
	s := model.DomainStatus{}
	fail := func(err error) (model.DomainStatus, error) {
		if IsNoDomain(err) {
			c.names.Delete(uuid)
			return model.DomainStatus{State: model.StateMissing, At: time.Now()}, nil
		}
		return model.DomainStatus{State: model.StateUnreachable, Err: err.Error(), At: time.Now()}, err
	}
	type state struct{ state, reason int32 }
	st, err := onDomain(ctx, c, uuid, "read the domain's state", quick, func(l *libvirt.Libvirt, d libvirt.Domain) (state, error) {
		n, reason, err := l.DomainGetState(d, 0)
		return state{n, reason}, err
	})
	if err != nil {
		return fail(err)
	}
	s.State = stateWord(st.state)
	s.Reason = reasonWord(s.State, st.reason)
	persistent, err := c.Persistent(ctx, uuid)
	if err != nil {
		return fail(err)
	}
	s.Persistent = persistent
	if s.Live() {
		s.JobActive, err = c.jobActive(ctx, uuid)
		if err != nil {
			return fail(err)
		}
	}
	s.At = time.Now()
	return s, nil
}

func (c *Conn) jobActive(ctx context.Context, uuid model.UUID) (bool, error) {
	short, cancel := context.WithTimeout(ctx, jobQuestion)
	defer cancel()
	n, err := onDomain(short, c, uuid, "ask for the domain's job", quick, func(l *libvirt.Libvirt, d libvirt.Domain) (int32, error) {
		n, _, _, _, _, _, _, _, _, _, _, _, err := l.DomainGetJobInfo(d)
		return n, err
	})
	switch {
	case err == nil:
		return n == 1 || n == 2, nil // bounded, unbounded
	case IsCode(err, CodeOperationTimeout), errors.Is(err, ErrTimeout) && ctx.Err() == nil:
		return true, nil
	case IsNoDomain(err), !answered(err):
		return false, err
	}
	return false, nil // a driver without jobs, or a domain that has just stopped
}

// answered tells that the host said something, even if it was no.
func answered(err error) bool {
	_, ok := Code(err)
	return ok || errors.Is(err, ErrUnsupported)
}

// Persistent tells whether the domain has a definition that outlives its process.
func (c *Conn) Persistent(ctx context.Context, uuid model.UUID) (bool, error) {
	n, err := onDomain(ctx, c, uuid, "read whether the domain is persistent", quick, (*libvirt.Libvirt).DomainIsPersistent)
	return n > 0, err
}
