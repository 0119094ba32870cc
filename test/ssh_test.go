//go:build lab

package test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// noKeys checks that no host has a key, a process or a socket of a move by SSH.
func noKeys(t *testing.T) {
	t.Helper()
	noSockets(t)
	for _, n := range the.Nodes {
		if out, err := n.Exec(t.Context(), "cat", "/root/.ssh/authorized_keys"); err != nil || strings.Contains(out, "expiry-time") {
			t.Errorf("%s lets in %q (%v)", n.Name, out, err)
		}
		if out, err := n.Exec(t.Context(), "sh", "-c", `ls -a /root/.ssh; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -x 'HostKeyAlias=horcrux-[a-z0-9]*'; :`); err != nil || strings.Contains(out, "horcrux-") {
			t.Errorf("%s still has %q (%v)", n.Name, out, err)
		}
	}
}

// TestPathSSH: hosts that reach each other by SSH only. What they send each
// other goes by a key of the move, which opens nothing else, and which is gone
// however the move ends.
func TestPathSSH(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wssh", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}, {SizeMiB: 64, FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	to := other(from)
	if o := c.must(0, "plan", s.Name, "--to", to, "--tls", "auto"); !strings.Contains(o.out, "by SSH from "+from+" to ") || !strings.Contains(o.out, "direct would not be") {
		t.Errorf("where all is reached: %s", o.out)
	}
	parted(t, true)
	judged := func(t *testing.T, id string, stop func(), at string) {
		t.Helper()
		stop() // what the guest says afterwards is not on the disk that is read here
		if on, err := s.owner(t.Context()); on != at || err != nil {
			t.Errorf("it is on %s: %v", on, err)
		}
		if _, bad := s.judge(t.Context()); len(bad) > 0 {
			c.fail(t, id, bad)
		}
		noKeys(t)
	}
	copying := func(t *testing.T) (id string) {
		t.Helper()
		id = c.start(s.Name, to, "--path", "ssh", "--bandwidth", "4")
		if !c.wrote(id, "perform", time.Minute) {
			c.fail(t, id, []string{"the copy does not begin"})
			t.FailNow()
		}
		until(t, "a connection of its own", time.Minute, func() bool {
			out, err := the.Node(to).Exec(t.Context(), "sh", "-c", `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -x "HostKeyAli[a]s=horcrux-$1"; :`, "x", id)
			return err == nil && out != ""
		})
		return id
	}
	t.Run("killed", func(t *testing.T) {
		stop := observe(s)
		defer stop()
		id := copying(t)
		c.kill(id)
		if _, err := c.settleAll(2 * time.Minute); err != nil {
			t.Fatal(err)
		}
		judged(t, id, stop, from)
	})
	t.Run("aborted", func(t *testing.T) {
		stop := observe(s)
		defer stop()
		id := copying(t)
		key := "/run/libvirt/qemu/horcrux-" + id + ".key/key"
		line, err := the.Node(to).Exec(t.Context(), "grep", " horcrux-"+id+"$", "/root/.ssh/authorized_keys")
		if err != nil || !strings.HasPrefix(line, `restrict,expiry-time="`) || !strings.Contains(line, `command="exec sh `) {
			t.Errorf("%s lets in %q (%v)", to, line, err)
		}
		ssh, err := the.Node(from).Exec(t.Context(), "sh", "-c", `for f in /proc/[0-9]*/exe; do case $(readlink "$f") in */ssh) tr '\0' ' ' <"${f%exe}cmdline";; esac; done`)
		if err != nil || !strings.Contains(ssh, "HostKeyAlias=horcrux-"+id) {
			t.Errorf("%s sends by %q (%v)", from, ssh, err)
		}
		for _, command := range []string{"id", "m d", ""} {
			out, _ := the.Node(from).Exec(t.Context(), "sh", "-c", `ssh -F none -T -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i "$1" -- "root@$2" $3 </dev/null 2>&1; :`, "x", key, the.Node(to).Address, command)
			if !strings.Contains(out, "only the data of one move") || strings.Contains(out, "uid=") {
				t.Errorf("the key runs %q: %q", command, out)
			}
		}
		c.must(0, "abort", id, "--yes")
		until(t, "the end of the job", time.Minute, func() bool { return c.worker(id) == 0 })
		if !slices.Contains(c.records(id), "relayed") {
			t.Errorf("records: %v", c.records(id))
		}
		judged(t, id, stop, from)
	})
	// By itself it is SSH, too: what else is reached would not be encrypted.
	for _, mode := range []string{"live", "online", "block", "offline"} {
		t.Run(mode, func(t *testing.T) {
			from, err := s.owner(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"--mode", mode}
			if mode == "block" || mode == "live" {
				args = append(args, "--path", "ssh")
			}
			if mode == "offline" {
				args = append(args, "--bandwidth", "16")
			}
			if o := c.run(append([]string{"plan", s.Name, "--to", other(from)}, args...)...); o.code != 0 || !strings.Contains(o.out, "by SSH from "+from+" to ") {
				t.Fatalf("exit code %d: %s%s", o.code, o.out, o.errOut)
			}
			if mode == "offline" {
				s.boots++
			}
			stop := observe(s)
			defer stop()
			var id string
			if mode == "offline" {
				// Another process goes on where this one ends, with another key.
				id = c.start(s.Name, other(from), args...)
				until(t, "a file on its way by SSH", time.Minute, func() bool {
					out, err := the.Node(other(from)).Exec(t.Context(), "sh", "-c", `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -x "/run/libvirt/qemu/horcrux-$1/c[0-9]*"; :`, "x", id)
					return err == nil && out != ""
				})
				c.kill(id)
				if _, err := c.settleAll(2 * time.Minute); err != nil {
					t.Fatal(err)
				}
			} else {
				var o outcome
				if id, o = c.move(s, other(from), args...); o.code != 0 {
					c.fail(t, id, []string{o.out + o.errOut})
					t.FailNow()
				}
			}
			if !slices.Contains(c.records(id), "relayed") {
				t.Errorf("records: %v", c.records(id))
			}
			if files := mode == "block" || mode == "offline"; files != c.logged(id, "by SSH of the nodes, with a key") {
				t.Errorf("files by SSH: %v", !files)
			}
			judged(t, id, stop, other(from))
		})
	}
}

// logged tells whether a job's log has a line with these words.
func (c *console) logged(id, words string) bool {
	c.t.Helper()
	return strings.Contains(string(c.events(id)), words)
}

// TestNotLetIn: the target's sshd is reached and does not let the source in. A
// move that was told to go by SSH says why and is undone; one that chose for
// itself goes through the console's machine, the copy of files too.
func TestNotLetIn(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wdeny", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	deny(t)
	stop := observe(s)
	id, o := c.move(s, other(from), "--path", "ssh")
	stop()
	if o.code != 4 || !strings.Contains(o.errOut, "cannot log in from "+from+" to "+other(from)) || !strings.Contains(o.errOut, "AllowUsers") {
		t.Errorf("by ssh: exit code %d: %s", o.code, o.errOut)
	}
	if on, bad := s.judge(t.Context()); on != from || len(bad) > 0 {
		c.fail(t, id, append(bad, "it is on "+on))
	}
	noKeys(t)
	for _, mode := range []string{"live", "offline"} {
		now, err := s.owner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stop := observe(s)
		if mode == "offline" {
			s.boots++
		}
		id, o := c.move(s, other(now), "--mode", mode, "--path", "auto", "--tls", "auto")
		if err := the.WaitVM(t.Context(), s.Name); err != nil {
			t.Error(err)
		}
		stop()
		if o.code != 0 || !strings.Contains(o.out, "through this machine") || !strings.Contains(o.out, "cannot log in from "+now) {
			t.Errorf("%s: exit code %d: %s%s", mode, o.code, o.out, o.errOut)
		}
		if on, bad := s.judge(t.Context()); on != other(now) || len(bad) > 0 {
			c.fail(t, id, append(bad, "it is on "+on))
		}
		noKeys(t)
	}
}

// deny has no host let root of another one in, for the time of a test.
func deny(t *testing.T) {
	t.Helper()
	const file = "/etc/ssh/sshd_config"
	for _, n := range the.Nodes {
		old, err := n.Exec(t.Context(), "cat", file)
		if err != nil {
			t.Fatal(err)
		}
		write := func(text string) {
			if _, err := n.ExecInput(context.Background(), text, "tee", file); err != nil {
				t.Error(err)
			}
			if err := n.Restart(context.Background(), lab.SSHD); err != nil {
				t.Error(err)
			}
		}
		text := old
		for _, peer := range the.Nodes {
			if peer != n {
				text += "\nMatch Address " + peer.Address + "\nDenyUsers root\n"
			}
		}
		write(text)
		t.Cleanup(func() { write(old) })
	}
}
