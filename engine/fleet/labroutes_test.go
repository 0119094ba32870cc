//go:build lab

package fleet

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
	"horcrux/lab"
)

// TestLabNoForwarding: a host whose sshd forbids forwarding is reached by a
// command.
func TestLabNoForwarding(t *testing.T) {
	l, cfg := openLab(t)
	host := l.Node("node2")
	set := func(from, to string) {
		_, err := host.Exec(context.Background(), "sed", "-i", "s/^AllowTcpForwarding "+from+"/AllowTcpForwarding "+to+"/", "/etc/ssh/sshd_config")
		if err == nil {
			err = host.Restart(context.Background(), lab.SSHD)
		}
		if err != nil {
			t.Error(err)
		}
	}
	set("yes", "no")
	t.Cleanup(func() { set("no", "yes") })
	f := openFleet(t, cfg)
	n := node(t, f, "node2")
	waitUp(t, n, 20*time.Second)
	conn, err := n.Act(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Domains(t.Context()); err != nil {
		t.Error(err)
	}
	n.mu.Lock()
	r := *n.route
	n.mu.Unlock()
	t.Logf("by %q", r.argv)
	if len(r.argv) == 0 {
		t.Error("forwarding was not forbidden")
	}
}

// TestLabKeepalive: the daemon drops a client that does not answer its pings,
// and keeps one that does.
func TestLabKeepalive(t *testing.T) {
	_, cfg := openLab(t)
	f := openFleet(t, cfg)
	n := node(t, f, "node1")
	waitUp(t, n, 30*time.Second)
	good, err := n.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	gag := make(chan struct{})
	bad, err := virt.Open(t.Context(), func(ctx context.Context) (net.Conn, error) {
		c, err := n.DialUnix(ctx, "/run/libvirt/libvirt-sock")
		return &gagged{c, gag}, err
	}, "qemu:///system")
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	close(gag)
	began := time.Now()
	select {
	case <-bad.Done():
		t.Logf("a silent client was dropped after %v: %v", time.Since(began), bad.Err())
	case <-time.After(45 * time.Second):
		t.Error("a silent client was not dropped")
	}
	if err := good.Ping(t.Context()); err != nil {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// gagged swallows what it is to send, as a host does that has lost its power.
type gagged struct {
	net.Conn
	gag chan struct{}
}

func (g *gagged) Write(b []byte) (int, error) {
	select {
	case <-g.gag:
		return len(b), nil
	default:
		return g.Conn.Write(b)
	}
}

// TestLabActs tries the calls that change a domain, on a copy that never runs.
func TestLabActs(t *testing.T) {
	l, cfg := openLab(t)
	f := openFleet(t, cfg)
	n := node(t, f, "node2")
	waitUp(t, n, 30*time.Second)
	c, err := n.Act(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const uuid = model.UUID("00000000-1111-2222-3333-444444444444")
	got, err := c.Define(ctx, `<domain type='qemu'><name>spare</name><uuid>`+string(uuid)+`</uuid><memory>65536</memory><vcpu>1</vcpu>`+
		`<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>`)
	ok(err)
	if got != uuid {
		t.Errorf("defined %s", got)
	}
	ok(c.SetAutostart(ctx, uuid, true))
	if on, err := c.Autostart(ctx, uuid); err != nil || !on {
		t.Error(on, err)
	}
	ok(c.SetAutostart(ctx, uuid, false))
	mark := `<job id="j-1" role="moving"/>`
	if _, found, err := c.Metadata(ctx, uuid, virt.JobNamespace); found || err != nil {
		t.Error(found, err)
	}
	ok(c.SetMetadata(ctx, uuid, "horcrux", virt.JobNamespace, mark, virt.MetadataOptions{Config: true}))
	text, found, err := c.Metadata(ctx, uuid, virt.JobNamespace)
	t.Logf("%s %v %v", text, found, err)
	xml, err := c.XML(ctx, uuid, virt.XMLOptions{Inactive: true, Secure: true})
	ok(err)
	d, err := virt.ParseDomain(xml)
	ok(err)
	if d.Job != "j-1" || d.JobRole != virt.RoleMoving || d.Name != "spare" || d.ID != -1 {
		t.Errorf("%+v", d)
	}
	ok(c.SetMetadata(ctx, uuid, "horcrux", virt.JobNamespace, "", virt.MetadataOptions{Config: true}))
	if _, found, _ := c.Metadata(ctx, uuid, virt.JobNamespace); found {
		t.Error("the mark is still there")
	}
	ok(c.StartPaused(ctx, uuid))
	s, err := c.Status(ctx, uuid)
	ok(err)
	if s.State != model.StatePaused || s.JobActive {
		t.Errorf("%+v", s)
	}
	ok(c.Resume(ctx, uuid))
	answer, err := c.QMP(ctx, uuid, "query-status", nil)
	t.Logf("%s %v", answer, err)
	_, err = c.QMP(ctx, uuid, "no-such-command", nil)
	var qmp *virt.QMPError
	if !errors.As(err, &qmp) || qmp.Class != "CommandNotFound" {
		t.Error(err)
	}
	if _, err := c.Agent(ctx, uuid, "guest-ping", nil, time.Second); err == nil {
		t.Error("an agent answers where none is")
	} else {
		t.Log(err)
	}
	ok(c.Destroy(ctx, uuid))
	ok(c.Undefine(ctx, uuid, virt.UndefineOptions{KeepNVRAM: true, KeepTPM: true, ManagedSave: true, Snapshots: true}))
	if s, err := c.Status(ctx, uuid); err != nil || s.State != model.StateMissing {
		t.Errorf("%+v %v", s, err)
	}
	labHostCalls(t, c, l.VMs[0].UUID)
}

func labHostCalls(t *testing.T, c *virt.Conn, web string) {
	t.Helper()
	ctx := t.Context()
	caps, err := c.DomainCapabilities(ctx, "", "x86_64", "pc-q35-7.2", "qemu")
	if err != nil || !strings.Contains(caps, "<domainCapabilities>") {
		t.Error(err)
	}
	cmp, err := c.CompareCPU(ctx, "", "x86_64", "", "qemu", "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>")
	t.Logf("qemu64: %s %v", cmp, err)
	vol, err := c.CreateVolume(ctx, "images", "<volume><name>spare.qcow2</name><capacity unit='MiB'>64</capacity><target><format type='qcow2'/></target></volume>")
	if err != nil || vol.Capacity != 64<<20 || vol.Format != "qcow2" || vol.Pool != "images" {
		t.Errorf("%+v %v", vol, err)
	}
	if _, err := c.CreateVolume(ctx, "images", "<volume><name>spare.qcow2</name><capacity>1</capacity></volume>"); !virt.IsCode(err, virt.CodeStorageVolExists) {
		t.Error(err)
	}
	vols, err := c.Volumes(ctx, "images")
	if err != nil || len(vols) == 0 {
		t.Error(vols, err)
	}
	if err := c.DeleteVolume(ctx, vol.Path); err != nil {
		t.Error(err)
	}
	if err := c.DeleteVolume(ctx, vol.Path); err != nil {
		t.Errorf("twice: %v", err)
	}
	nets, err := c.Networks(ctx)
	t.Logf("%+v %v", nets, err)
	if _, err := c.Stats(ctx, model.UUID(web)); err != nil && !virt.IsNoDomain(err) {
		t.Error(err)
	}
	if load, err := c.Load(ctx); err != nil || load.CPUTotal == 0 || load.MemTotal == 0 {
		t.Errorf("%+v %v", load, err)
	}
}
