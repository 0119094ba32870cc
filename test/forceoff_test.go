//go:build lab

package test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestForceOff: a guest that hears neither its agent nor the power button. Without
// leave to force it off the move is undone: the guest goes on, is started again
// when it goes down after all, and that is what is said. With leave it is ended and
// boots on the target.
func TestForceOff(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wdeaf", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	to, c := other(from), newConsole(t)
	// Its agent is libvirt's until that has given up waiting: what lets it hear after
	// all is its web server.
	deafen := func() {
		inGuest(t, s.Name, from, `killall acpid; mkdir -p /www/cgi-bin; mv /sbin/shutdown /www/cgi-bin/obey
			for f in /sbin/shutdown /sbin/poweroff; do rm -f $f; printf '#!/bin/sh\n' >$f; chmod +x $f; done`)
	}
	cold := []string{"--mode", "offline", "--shutdown-timeout", "1s"}

	deafen()
	s.boots++
	stop := observe(s)
	id := c.start(s.Name, to, cold...)
	if !c.wrote(id, "rollback-intent", time.Minute) {
		t.Fatalf("it is not undone: %v", c.records(id))
	}
	if state := domstate(t, s.Name, from); !strings.HasPrefix(state, "running") {
		t.Errorf("on %s the guest is %s", from, state)
	}
	client := &http.Client{Timeout: 2 * time.Second} // the guest is off before it answers
	if res, err := client.Get("http://" + s.IP + "/cgi-bin/obey"); err == nil {
		res.Body.Close()
	}
	o := c.run("job", id, "-o", "json")
	if err := the.WaitVM(t.Context(), s.Name); err != nil {
		t.Error(err)
	}
	stop()
	at, bad := s.judge(t.Context())
	r := result(t, o.out)
	for _, want := range []string{"the guest on " + from + " did not shut down", "by agent: still running", "by ACPI: still running", "to force it off was not allowed"} {
		if !strings.Contains(r.Reason, want) {
			t.Errorf("the cause does not say: %s\n%s", want, r.Reason)
		}
	}
	if !strings.Contains(r.Next, "started again") || !strings.Contains(r.Next, "--shutdown-timeout") || !strings.Contains(r.Next, "--force-off") {
		t.Errorf("the next step is: %s", r.Next)
	}
	if r.Outcome != "undone" || r.Owner != from || at != from || len(bad) > 0 {
		c.fail(t, id, append(bad, "it is on "+at+": "+o.out+o.errOut))
		return
	}

	deafen()
	s.boots++
	stop = observe(s)
	id, o = c.move(s, to, append(cold, "--force-off")...)
	if err := the.WaitVM(t.Context(), s.Name); err != nil {
		t.Error(err)
	}
	stop()
	if !strings.Contains(o.out, "forcing it off, as was allowed") {
		t.Errorf("it is not said that the guest was forced off: %s", o.out)
	}
	if at, bad := s.judge(t.Context()); o.code != 0 || at != to || len(bad) > 0 {
		c.fail(t, id, append(bad, "it is on "+at+": "+o.out+o.errOut))
	}
}
