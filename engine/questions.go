package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"horcrux/engine/audit"
	"horcrux/engine/model"
	"horcrux/engine/transport"
)

// ErrDeclined says that a person did not want to answer.
var ErrDeclined = errors.New("declined")

// desk is where logins put their questions, for whoever watches the engine. It
// is the Prompter of a console, which cannot be asked in the middle of a screen.
type desk struct {
	mu      sync.Mutex
	last    int
	open    []*asked
	changed chan struct{} // has one element when the list is not the one that was read
}

type asked struct {
	model.Question
	answer chan []string // nil: declined
}

func newDesk() *desk { return &desk{changed: make(chan struct{}, 1)} }

func (d *desk) ring() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// list is what is open, oldest first; never nil.
func (d *desk) list() []model.Question {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []model.Question{}
	for _, a := range d.open {
		all = append(all, a.Question)
	}
	return all
}

func (d *desk) ask(ctx context.Context, q model.Question) ([]string, error) {
	a := &asked{answer: make(chan []string, 1)}
	d.mu.Lock()
	d.last++
	q.ID = fmt.Sprintf("q%d", d.last)
	a.Question = q
	d.open = append(d.open, a)
	d.mu.Unlock()
	d.ring()
	select {
	case answers := <-a.answer:
		if answers == nil {
			return nil, ErrDeclined
		}
		return answers, nil
	case <-ctx.Done():
		d.take(q.ID)
		return nil, ctx.Err()
	}
}

func (d *desk) take(id string) *asked {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.open, func(a *asked) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	a := d.open[i]
	d.open = slices.Delete(d.open, i, i+1)
	d.ring()
	return a
}

// reply answers an open question; nil declines it.
func (d *desk) reply(id string, answers []string) error {
	a := d.take(id)
	if a == nil {
		return errors.New("nobody waits for this answer any more")
	}
	a.answer <- answers
	return nil
}

// Passphrase implements transport.Prompter.
func (d *desk) Passphrase(ctx context.Context, file string) ([]byte, error) {
	a, err := d.ask(ctx, model.Question{
		Kind: model.QuestionPassphrase, Title: "Passphrase", Lines: []string{"The key " + file + " is locked."},
		Fields: []model.QuestionField{{Prompt: "passphrase", Hidden: true}},
	})
	if err != nil || len(a) != 1 {
		return nil, errors.Join(err, missing(a, 1))
	}
	return []byte(a[0]), nil
}

// Answers implements transport.Prompter.
func (d *desk) Answers(ctx context.Context, c transport.Challenge) ([]string, error) {
	q := model.Question{Kind: model.QuestionChallenge, Title: "Login", Lines: []string{c.Where + " asks, before it lets " + c.User + " in:"}}
	for _, s := range []string{c.Name, c.Instruction} {
		if s != "" {
			q.Lines = append(q.Lines, s)
		}
	}
	for _, f := range c.Fields {
		q.Fields = append(q.Fields, model.QuestionField(f))
	}
	return d.ask(ctx, q)
}

// AcceptHostKey implements transport.Prompter.
func (d *desk) AcceptHostKey(ctx context.Context, e *transport.HostKeyError) (bool, error) {
	a, err := d.ask(ctx, model.Question{
		Kind: model.QuestionHostKey, Title: "Unknown host", Lines: HostKeyLines(e), Type: "yes",
	})
	return err == nil && len(a) == 1 && a[0] == "yes", err
}

// HostKeyLines says what to compare before a host's key is accepted.
func HostKeyLines(e *transport.HostKeyError) []string {
	return []string{
		"The key of " + e.Host + " is not known. Its kind is " + e.KeyType + ", its fingerprint:",
		e.Fingerprint, // on a line of its own: it is compared by eye
		"Compare it with what the host's own console shows: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub",
		"If it is the same, it is written to known_hosts and not asked about again.",
	}
}

func missing(a []string, want int) error {
	if len(a) == want {
		return nil
	}
	return fmt.Errorf("%d answers, want %d", len(a), want)
}

// Answer replies to a question that an Update showed; nil answers decline it.
func (e *Engine) Answer(id string, answers []string) error { return e.desk.reply(id, answers) }

// Reconnect tries to reach a node now, and lets questions be asked again that
// were declined.
func (e *Engine) Reconnect(node model.NodeName) error {
	n, ok := e.fleet.Node(node)
	if !ok {
		return fmt.Errorf("node %s is not in the configuration", node)
	}
	n.Retry()
	return nil
}

// remembering keeps what was asked for, so that a job's own process, which has
// nobody to ask, need not. It is handed over on the process's standard input.
type remembering struct {
	ask     transport.Prompter
	trusted func(*transport.HostKeyError) error // before a key is written down
	mu      sync.Mutex
	have    map[string]string
	answers map[string][]string
}

// Passphrase asks, and remembers; a wrong one is replaced by the next.
func (r *remembering) Passphrase(ctx context.Context, file string) ([]byte, error) {
	p, err := r.ask.Passphrase(ctx, file)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.have == nil {
		r.have = map[string]string{}
	}
	r.have[file] = string(p)
	return p, nil
}

// Answers asks, and remembers.
func (r *remembering) Answers(ctx context.Context, c transport.Challenge) ([]string, error) {
	a, err := r.ask.Answers(ctx, c)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil {
		r.answers = map[string][]string{}
	}
	r.answers[c.ID()] = a
	return a, nil
}

// AcceptHostKey asks; what is accepted is in known_hosts, and in the audit log.
func (r *remembering) AcceptHostKey(ctx context.Context, e *transport.HostKeyError) (bool, error) {
	yes, err := r.ask.AcceptHostKey(ctx, e)
	if err != nil || !yes {
		return false, err
	}
	if err := r.trusted(e); err != nil {
		return false, err
	}
	return true, nil
}

// trust writes into the audit log that a person accepted a host's key.
func (e *Engine) trust(k *transport.HostKeyError) error {
	return e.Act(audit.Entry{Act: "accept-host-key", Node: k.Host, Detail: k.KeyType + " " + k.Fingerprint}, func() error { return nil })
}

func (r *remembering) all() (passphrases map[string]string, answers map[string][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.have), maps.Clone(r.answers)
}
