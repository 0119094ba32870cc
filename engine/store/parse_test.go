package store

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/tether"
	"horcrux/engine/transport"
)

func TestPlanIsChecked(t *testing.T) {
	good := func() Plan {
		return Plan{Job: "20261125-1", Dir: "/d", Files: []File{{Source: "/a b/-c 'x'\"y\".img", Target: "/t"}}}
	}
	if err := good().check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Plan){
		"no job":         func(p *Plan) { p.Job = "" },
		"a job's path":   func(p *Plan) { p.Job = "../x" },
		"no folder":      func(p *Plan) { p.Dir = "" },
		"another way":    func(p *Plan) { p.Path = "pigeon" },
		"relative":       func(p *Plan) { p.Files[0].Source = "x" },
		"not clean":      func(p *Plan) { p.Files[0].Target = "/a/../b" },
		"root":           func(p *Plan) { p.Files[0].Target = "/" },
		"line break":     func(p *Plan) { p.Files[0].Source = "/a\nb" },
		"return":         func(p *Plan) { p.Files[0].Target = "/a\rb" },
		"not UTF-8":      func(p *Plan) { p.Files[0].Source = "/a\xff" },
		"too long":       func(p *Plan) { p.Files[0].Target = "/" + strings.Repeat("x", 240) },
		"the same twice": func(p *Plan) { p.Files = append(p.Files, File{Source: "/z", Target: "/t"}) },
	} {
		p := good()
		change(&p)
		if err := p.check(); err == nil {
			t.Errorf("%s is accepted", name)
		} else {
			t.Log(err)
		}
	}
}

func TestParseStat(t *testing.T) {
	s, err := parseStat("81a0 131072 256 512 42 1795619758.728357013 1795619759.000000001 640 64055 108 libvirt-qemu kvm\n?\n")
	want := Stat{KindFile, 131072, 131072, 42, "1795619758.728357013", "1795619759.000000001", "640", "libvirt-qemu", "kvm", 64055, 108, ""}
	if err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = parseStat("41ed 4096 8 512 2 1.0 1.0 755 0 0 root root\nsystem_u:object_r:virt_image_t:s0\n")
	if err != nil || s.Kind != KindDir || s.Label != "system_u:object_r:virt_image_t:s0" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "x", "81a0 -1 256 512 42 1 1 640 0 0 a b", "81a0 1 256 512 42 now 1 640 0 0 a b", "81a0 1 256 512 42 1 1 9;x 0 0 a b"} {
		if s, err := parseStat(bad); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("81a0 131072 256 512 42 1795619758.7 1795619759.1 640 64055 108 libvirt-qemu kvm\n?\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStat(text)
		if err == nil && (s.Size < 0 || strings.ContainsAny(s.User+s.Mode+s.Label, "\n\x1b")) {
			t.Errorf("%+v", s)
		}
	})
}

const aChain = `[{"virtual-size": 268435456, "filename": "/i/top.qcow2", "cluster-size": 65536, "format": "qcow2", "actual-size": 200704,
"format-specific": {"type": "qcow2", "data": {"compat": "1.1"}}, "full-backing-filename": "/i/base.img", "backing-filename": "base.img",
"backing-filename-format": "raw", "dirty-flag": false}, {"virtual-size": 268435456, "filename": "/i/base.img", "format": "raw", "actual-size": 83886080, "dirty-flag": false}]`

func TestParseChain(t *testing.T) {
	all, err := parseChain([]byte(aChain))
	if err != nil || len(all) != 2 || all[0].BackingPath != "/i/base.img" || all[0].BackingFormat != "raw" || all[1].Backing != "" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, bad := range []string{"", "[]", "{}", `[{"format":"raw"}]`, `[{"filename":"/x","virtual-size":-1}]`} {
		if all, err := parseChain([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, all)
		}
	}
}

func FuzzParseChain(f *testing.F) {
	f.Add([]byte(aChain))
	f.Fuzz(func(t *testing.T, text []byte) {
		if all, err := parseChain(text); err == nil && (len(all) == 0 || len(all) > maxChain) {
			t.Errorf("%d images", len(all))
		}
	})
}

func TestLockImageIsJSON(t *testing.T) {
	name := `/a,b "c" <d>&'e'.img`
	text, err := lockImage(name, "horcrux-1")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		File struct {
			Image struct{ Filename string }
		}
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "json:")), &v); err != nil || v.File.Image.Filename != name {
		t.Errorf("%s: %v", text, err)
	}
}

func TestFindings(t *testing.T) {
	have := map[string]bool{}
	for _, n := range needed {
		have[n.name] = true
	}
	for _, u := range useful {
		have[u.name] = true
	}
	if all := (Tools{have}).Findings(); len(all) != 1 || all[0].Verdict != model.Pass {
		t.Errorf("%+v", all)
	}
	delete(have, "zstd")
	delete(have, "qemu-io")
	all := (Tools{have}).Findings()
	if len(all) != 2 || all[0].Verdict != model.Fail || !strings.Contains(all[0].Remedy, "qemu-utils") || all[1].Verdict != model.Warn {
		t.Errorf("%+v", all)
	}
}

// here is this machine as a node, for the scripts that need nothing but a shell.
type here struct{}

func (here) Name() model.NodeName   { return "here" }
func (here) MigrateAddress() string { return "127.0.0.1" }

func (here) Exec(ctx context.Context, argv []string, stdin io.Reader) (transport.Result, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		return transport.Result{}, err
	}
	return transport.Result{Stdout: []byte(out.String()), Stderr: []byte(errs.String()), Code: cmd.ProcessState.ExitCode()}, nil
}

func (here) Start(_ context.Context, argv []string) (transport.Stream, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Stderr = &p.errs
	var err1, err2 error
	p.WriteCloser, err1 = p.cmd.StdinPipe()
	p.Reader, err2 = p.cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		return nil, io.ErrClosedPipe
	}
	return p, p.cmd.Start()
}

type process struct {
	io.WriteCloser
	io.Reader
	cmd  *exec.Cmd
	errs strings.Builder
}

func (p *process) CloseWrite() error { return p.WriteCloser.Close() }
func (p *process) Close() error      { _ = p.WriteCloser.Close(); return p.cmd.Wait() }
func (p *process) Stderr() string    { return p.errs.String() }

func TestHashScript(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a 'b' \\c$(x)")
	data := strings.Repeat("0123456789abcdef", 1024)
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"openssl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			continue
		}
		h := newHashers(here{}, Tools{map[string]bool{"openssl": tool == "openssl"}}, 1)
		defer h.close()
		w := window{extents: []extent{{4096, 4096}, {12288, 100}}}
		want := newRoot()
		want.h.Write([]byte(data[4096:8192] + data[12288:12388]))
		for _, by := range []way{readCached, readFresh, readDirect} {
			got, err := h.sum(t.Context(), name, w, by)
			if err != nil || got != want.sum() {
				t.Errorf("%s %s: %s, %v, want %s", tool, by, got, err, want.sum())
			}
		}
		if got, err := h.sum(t.Context(), name+"x", w, readCached); err == nil || !strings.Contains(err.Error(), "No such file") {
			t.Errorf("a missing file: %s, %v", got, err)
		}
		if got, err := h.sum(t.Context(), name, w, readCached); err != nil || got != want.sum() {
			t.Errorf("after an error: %s, %v", got, err)
		}
	}
}

func TestPublishScript(t *testing.T) {
	for name, tc := range map[string]struct {
		taken string // what has the final name: nothing, other, ours
		code  int
	}{
		"free":         {"", 0},
		"taken":        {"other", 45},
		"a dead link":  {"link", 45},
		"half done":    {"both", 0},
		"done already": {"ours", 0},
	} {
		dir := t.TempDir()
		p, f := filepath.Join(dir, "-x y.partial"), filepath.Join(dir, "-x y")
		write := func(name string) {
			if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(p)
		st, err := Look(t.Context(), here{}, p)
		if err != nil {
			t.Fatal(err)
		}
		switch tc.taken {
		case "other":
			write(f)
		case "link":
			err = os.Symlink("/nowhere/at/all", f)
		case "both":
			err = os.Link(p, f)
		case "ours":
			err = os.Rename(p, f)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = run(t.Context(), here{}, "publish", nil, "sh", "-c", publishScript, "x", p, f, itoa(int64(st.Inode)), "640", st.owner(), "", "file")
		code := 0
		if failed, ok := err.(*runError); ok {
			code = failed.code
		} else if err != nil {
			t.Fatal(err)
		}
		if code != tc.code {
			t.Errorf("%s: ended with %d (%v), want %d", name, code, err, tc.code)
		}
		now, err := os.Stat(f)
		if tc.code == 0 && (err != nil || now.Mode().Perm() != 0o640 && tc.taken == "") {
			t.Errorf("%s: %v, %v", name, now, err)
		}
		if _, err := os.Stat(p); (err == nil) != (tc.code != 0) {
			t.Errorf("%s: the partial file: %v", name, err)
		}
	}
}

// A supervised command ends with its standard input, and with the context.
func TestSupervised(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := here{}.Start(ctx, tether.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	done := make(chan struct{})
	go func() { _, _ = io.ReadAll(s); close(done) }()
	_ = s.CloseWrite()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("it goes on without us")
	}
	t.Log(time.Since(began))
	r, err := here{}.Exec(ctx, tether.Command("sh", "-c", "echo out; echo why >&2; exit 7"), tether.Heart(ctx))
	if err != nil || r.Code != 7 || string(r.Stdout) != "out\n" || !strings.Contains(string(r.Stderr), "why") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPace(t *testing.T) {
	p := newPace(0, 2)
	if p.share() != 0 || p.piece() != firstPiece {
		t.Error(p.share(), p.piece())
	}
	p.took(firstPiece, 10*time.Millisecond)
	if got := p.piece(); got != 2*firstPiece {
		t.Errorf("after a fast piece: %d", got)
	}
	p.took(2*firstPiece, pieceLong+time.Second)
	if got := p.piece(); got != firstPiece {
		t.Errorf("after a slow piece: %d", got)
	}
	p.set(2 << 20)
	if p.share() != 1<<20 || p.piece() != 3<<20 {
		t.Error(p.share(), p.piece())
	}
	began := time.Now()
	p.set(1 << 20)
	for range 4 {
		if err := p.pay(t.Context(), 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(began); d < 150*time.Millisecond {
		t.Errorf("256 KiB at 1 MiB/s took %s", d)
	}
}

// What an earlier attempt left is ended; what only looks alike is not.
func TestSweep(t *testing.T) {
	if _, err := exec.LookPath("grep"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const job = "sweep-test-1"
	start := func(argv ...string) (*process, chan struct{}) {
		s, err := here{}.Start(t.Context(), argv)
		if err != nil {
			t.Fatal(err)
		}
		p := s.(*process)
		gone := make(chan struct{})
		go func() { _ = p.cmd.Wait(); close(gone) }()
		return p, gone
	}
	_, writer := start("sh", "-c", writeScript, token(job))
	_, late := start("dd", "of="+filepath.Join(dir, "a b.partial-"+job))
	other, alike := start("dd", "of="+filepath.Join(dir, "a.partial-"+job+"2"))
	if err := sweep(t.Context(), here{}, job); err != nil {
		t.Fatal(err)
	}
	for name, gone := range map[string]chan struct{}{"the writer": writer, "what writes late": late} {
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Errorf("%s is still there", name)
		}
	}
	select {
	case <-alike:
		t.Error("another job's process was ended")
	default:
	}
	_ = other.CloseWrite()
	<-alike
}

func TestErrorsInWords(t *testing.T) {
	for text, want := range map[string]string{
		`qemu-img: Could not open 'json:{"driver":"raw","file":{"driver":"nbd"},"size":1048576}': Failed to connect to '10.0.0.2:49202': No route to host`: "qemu-img: Failed to connect to '10.0.0.2:49202': No route to host",
		`qemu-io: can't open device json:{"driver":"raw","read-only":true}: Failed to get shared "write" lock`:                                             `qemu-io: Failed to get shared "write" lock`,
		"No space left on device": "No space left on device",
	} {
		if got := inWords(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
