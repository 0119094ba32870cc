package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"horcrux/engine"
	"horcrux/engine/transport"
)

// asker asks on the terminal what a login needs a person for.
type asker struct {
	a *app

	mu   sync.Mutex
	open int       // questions on the terminal
	last time.Time // when one was answered
}

// since tells whether a question is open, or was within d.
func (k *asker) since(d time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open > 0 || time.Since(k.last) < d
}

// begin marks a question as open; what it gives marks its end.
func (k *asker) begin() (end func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open++
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.open--
		k.last = time.Now()
	}
}

// Passphrase asks for one, without showing it.
func (k *asker) Passphrase(_ context.Context, file string) ([]byte, error) {
	defer k.begin()()
	return k.hidden(fmt.Sprintf("Passphrase for %s: ", file))
}

func (k *asker) hidden(prompt string) ([]byte, error) {
	fmt.Fprint(k.a.err, prompt)
	defer fmt.Fprintln(k.a.err)
	fd := int(k.a.in.Fd())
	defer restoreOnSignal(fd)()
	return term.ReadPassword(fd)
}

// restoreOnSignal gives the terminal its echo back if ctrl-c ends the program
// while something hidden is typed.
func restoreOnSignal(fd int) (stop func()) {
	before, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if s, ok := <-ch; ok {
			_ = term.Restore(fd, before)
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
		}
	}()
	return func() {
		signal.Stop(ch)
		close(ch)
	}
}

func (k *asker) shown(prompt string) (string, error) {
	fmt.Fprint(k.a.err, prompt)
	line, err := bufio.NewReader(k.a.in).ReadString('\n')
	if err != nil && line == "" {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// Answers asks what a server wants to know.
func (k *asker) Answers(_ context.Context, c transport.Challenge) ([]string, error) {
	defer k.begin()()
	fmt.Fprintf(k.a.err, "%s asks, before it lets %s in:\n", c.Where, c.User)
	for _, s := range []string{c.Name, c.Instruction} {
		if s != "" {
			fmt.Fprintln(k.a.err, "  "+s)
		}
	}
	var all []string
	for _, f := range c.Fields {
		prompt := strings.TrimRight(f.Prompt, " ") + " "
		if f.Hidden {
			b, err := k.hidden(prompt)
			if err != nil {
				return nil, err
			}
			all = append(all, string(b))
			continue
		}
		s, err := k.shown(prompt)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// AcceptHostKey shows the fingerprint; only the whole word yes accepts it.
func (k *asker) AcceptHostKey(_ context.Context, e *transport.HostKeyError) (bool, error) {
	defer k.begin()()
	for _, l := range engine.HostKeyLines(e) {
		fmt.Fprintln(k.a.err, l)
	}
	s, err := k.shown("Type yes to accept it, anything else to refuse: ")
	return strings.TrimSpace(s) == "yes", err
}
