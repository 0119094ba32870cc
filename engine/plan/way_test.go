package plan

import (
	"path"
	"strings"
	"testing"

	"horcrux/engine/model"
)

func TestWayOfTheData(t *testing.T) {
	no := ReachFact{Tried: true, Detail: "no answer"}
	cut := func(in *input) { in.dst.Reach, in.dst.ReachSSH = no, no }
	relay := func(in *input) { in.r.Options.Path = model.PathRelay }
	ssh := func(in *input) { in.r.Options.Path = model.PathSSH }
	open := func(in *input) { in.dst.Reach = ReachFact{Tried: true, Reached: true} }
	sshd := func(in *input) { in.dst.ReachSSH = ReachFact{Tried: true, Reached: true} }
	offline := func(in *input) {
		in.r.Mode = model.ModeOffline
		in.vm.Files = []model.FilePlan{{Path: image, Role: model.FileDisk, Disk: "vda", Format: "qcow2", Allocation: gib}}
		in.dst.Files[image] = false
		in.dst.Dirs = map[string]DirFact{path.Dir(image): {Exists: true, Free: 9 * gib}}
	}
	tls := certified(t)
	all := func(fs ...func(*input)) func(*input) {
		return func(in *input) {
			for _, f := range fs {
				f(in)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		spoil   func(*input)
		way     model.DataPath
		verdict model.Verdict
		detail  string
	}{
		{"reached", func(in *input) { in.dst.Reach = ReachFact{Tried: true, Reached: true} }, model.PathDirect, model.Pass, "node1 reaches node2"},
		{"not reached", cut, model.PathRelay, model.Pass, "does not reach node2: no answer"},
		{"nobody knows", func(in *input) { in.dst.Reach = ReachFact{Detail: "sshd there opens no TCP connections"} }, model.PathDirect, model.Pass, "not known: sshd"},
		{"not tried", func(*input) {}, model.PathDirect, model.Pass, "was not tried"},
		{"ssh is encrypted", all(open, sshd), model.PathSSH, model.Pass, "direct would not be: "},
		{"only sshd is reached", all(cut, sshd), model.PathSSH, model.Pass, "does not reach node2: no answer"},
		{"TLS", all(open, sshd, tls), model.PathDirect, model.Pass, "QEMU encrypts"},
		{"TLS and files", all(open, sshd, tls, offline), model.PathSSH, model.Pass, "files go over TCP as they are"},
		{"TLS required", all(open, sshd, func(in *input) { in.r.Options.TLS = model.TLSRequire }), model.PathDirect, model.Pass, "TLS of QEMU is required"},
		{"TLS switched off", all(open, sshd, func(in *input) { in.r.Options.TLS = model.TLSOff }), model.PathDirect, model.Pass, "encryption is switched off"},
		{"TLS switched off and cut", all(cut, sshd, func(in *input) { in.r.Options.TLS = model.TLSOff }), model.PathSSH, model.Pass, "does not reach node2"},
		{"post-copy is not for ssh", all(open, sshd, func(in *input) { in.r.Options.Policy = model.PolicyPostCopy }), model.PathDirect, model.Pass, "post-copy"},
		{"parallel is not for ssh", all(open, sshd, func(in *input) { in.r.Options.Parallel = 2 }), model.PathDirect, model.Pass, "in any order"},
		{"sshd is not reached", all(open, func(in *input) { in.dst.ReachSSH = no }), model.PathDirect, model.Pass, "does not reach sshd of node2"},
		{"sshd is not known", all(open, func(in *input) { in.dst.ReachSSH = ReachFact{Detail: "sshd there opens no TCP connections"} }), model.PathDirect, model.Pass, "sshd of node2 is not known"},
		{"offline by ssh", all(open, sshd, offline), model.PathSSH, model.Pass, "files go over TCP as they are"},
		{"offline reached", all(open, offline), model.PathDirect, model.Pass, "was not tried"},
		{"offline cut", all(cut, offline), model.PathRelay, model.Pass, "no answer"},
		{"offline ssh asked for", all(ssh, sshd, offline), model.PathSSH, model.Pass, "as asked for"},
		{"offline ssh without a program", all(ssh, sshd, offline, func(in *input) { in.dst.Lacks = []string{"flock"} }), model.PathSSH, model.Fail, "flock"},
		{"offline direct and not reached", all(cut, offline, func(in *input) { in.r.Options.Path = model.PathDirect }), model.PathDirect, model.Fail, "does not reach"},
		{"asked for", relay, model.PathRelay, model.Pass, "as asked for"},
		{"online", all(cut, func(in *input) { in.r.Mode = model.ModeOnline }), model.PathRelay, model.Pass, "no answer"},
		{"direct and not reached", all(cut, func(in *input) { in.r.Options.Path = model.PathDirect }), model.PathDirect, model.Fail, "does not reach"},
		{"ssh", ssh, model.PathSSH, model.Pass, "by SSH from node1 to node2"},
		{"ssh not reached", all(cut, ssh), model.PathSSH, model.Fail, "does not reach sshd of node2"},
		{"ssh not root", all(ssh, func(in *input) { in.src.User = "ops" }), model.PathSSH, model.Fail, "user ops makes on node1"},
		{"ssh without the listener", all(ssh, func(in *input) { in.src.Lacks = []string{"systemd-socket-activate"} }), model.PathSSH, model.Fail, "on node1 what is not there: systemd-socket-activate"},
		{"ssh without the joint", all(ssh, func(in *input) { in.dst.Lacks = []string{"perl or python3"} }), model.PathSSH, model.Fail, "on node2"},
		{"ssh without an address", all(ssh, func(in *input) { in.dst.MigrateAddr = "" }), model.PathSSH, model.Fail, "none is known"},
		{"ssh and post-copy", all(ssh, func(in *input) { in.r.Options.Policy = model.PolicyPostCopy }), model.PathSSH, model.Fail, "post-copy"},
		{"not root", all(relay, func(in *input) { in.dst.User = "ops" }), model.PathRelay, model.Fail, "user ops makes on node2"},
		{"source listens not", all(cut, func(in *input) { in.src.Forward.Stream = "local" }), model.PathRelay, model.Pass, "sshd on node1 has AllowStreamLocalForwarding local, so commands"},
		{"source cannot", all(cut, func(in *input) { in.src.Forward = ForwardFact{Stream: "local", NoCommands: true} }), model.PathRelay, model.Fail, "sshd on node1"},
		{"source listens", all(cut, func(in *input) { in.src.Forward = ForwardFact{TCP: "all", Stream: "remote"} }), model.PathRelay, model.Pass, ""},
		{"target connects not", all(cut, func(in *input) { in.dst.Forward.TCP = "no" }), model.PathRelay, model.Pass, "AllowTcpForwarding no"},
		{"target has not what it takes", all(cut, func(in *input) { in.dst.Forward.NoCommands = true }), model.PathRelay, model.Pass, "no answer"},
		{"target connects", all(cut, func(in *input) { in.dst.Forward = ForwardFact{TCP: "local", Stream: "yes"} }), model.PathRelay, model.Pass, ""},
		{"all off", all(cut, func(in *input) { in.dst.Forward = ForwardFact{Disabled: true, NoCommands: true} }), model.PathRelay, model.Fail, "DisableForwarding"},
		{"post-copy", all(cut, func(in *input) { in.r.Options.Policy = model.PolicyPostCopy }), model.PathRelay, model.Fail, "post-copy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			tt.spoil(&in)
			p := in.plan()
			f := find(t, p, "data-path")
			if p.Way != tt.way || f.Verdict != tt.verdict || !strings.Contains(f.Detail, tt.detail) || tt.verdict == model.Fail && f.Remedy == "" {
				t.Errorf("%s, %s: %s; %s", p.Way, f.Verdict, f.Detail, f.Remedy)
			}
		})
	}
}

func TestRelayIsEncryptedBySSH(t *testing.T) {
	for _, wish := range []model.TLS{model.TLSAuto, model.TLSRequire} {
		in := good()
		in.r.Options.Path, in.r.Options.TLS = model.PathRelay, wish
		p := in.plan()
		f := find(t, p, "encryption")
		if p.Encrypted || !strings.Contains(f.Remedy+f.Detail, "SSH") || (f.Verdict == model.Fail) != (wish == model.TLSRequire) {
			t.Errorf("--tls %s: %v, %s: %s; %s", wish, p.Encrypted, f.Verdict, f.Detail, f.Remedy)
		}
	}
}

func TestNoMemoryNoWay(t *testing.T) {
	in := good()
	in.r.Mode, in.r.Options.Path = model.ModeOffline, model.PathRelay
	if p := in.plan(); p.Way != "" {
		t.Errorf("an offline move sends memory by %s", p.Way)
	}
}

func TestSSHIsEncryptedAndKeepsNoOrder(t *testing.T) {
	for version, want := range map[string]model.Verdict{"7.2.0": model.Fail, "8.0.0": model.Pass, "": model.Fail} {
		in := good()
		in.r.Options.Path, in.r.Options.Parallel, in.src.QEMU, in.dst.QEMU = model.PathSSH, 2, "9.0.0", version
		p := in.plan()
		if f := find(t, p, "parallel"); f.Verdict != want {
			t.Errorf("QEMU %q: %s %s", version, f.Verdict, f.Detail)
		}
		if f := find(t, p, "encryption"); f.Verdict != model.Pass || !strings.Contains(f.Detail, "does not see them") || p.Encrypted {
			t.Errorf("%s %s", f.Verdict, f.Detail)
		}
	}
	in := good()
	in.r.Options.Path, in.r.Options.TLS = model.PathSSH, model.TLSRequire
	if f := find(t, in.plan(), "encryption"); f.Verdict != model.Fail {
		t.Errorf("%s %s", f.Verdict, f.Detail)
	}
}

// TestNoNBD: a way that a person chose and that needs a program which is not there
// is refused before the guest is shut down.
func TestNoNBD(t *testing.T) {
	for _, c := range []struct {
		path model.DataPath
		size uint64
		lack bool
		want model.Verdict
	}{
		{model.PathDirect, 1 << 30, true, model.Fail},
		{model.PathDirect, 1 << 30, false, model.Pass},
		{model.PathDirect, 1 << 20, true, model.Pass},
		{model.PathAuto, 1 << 30, true, model.Pass},
	} {
		in := good()
		in.r.Mode, in.r.Options.Path = model.ModeOffline, c.path
		in.vm.Files = []model.FilePlan{{Path: image, Role: model.FileDisk, Disk: "vda", Format: "qcow2", Allocation: c.size}}
		in.dst.Files[image] = false
		in.dst.Dirs = map[string]DirFact{path.Dir(image): {Exists: true, Free: 9 * gib}}
		if c.lack {
			in.dst.CopyTools = []model.Finding{{ID: "copy-qemu-nbd", Verdict: model.Warn}}
		}
		if f := find(t, in.plan(), "data-path"); f.Verdict != c.want {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}
