//go:build lab

package test

import (
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// memoryVM has its disk on shared storage, so that its moves are of memory alone.
var memoryVM = lab.VMSpec{Name: "wmem", Agent: true, DirtyMiB: 32, DirtyRate: 4, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}}

// TestCompression: zstd with several connections, which libvirt knows since 9.1,
// XBZRLE with one. The source's QEMU says that it was told so, and that it does.
func TestCompression(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     []string
		multifd  bool
		method   string
		compress func(sent, pages, cached uint64) bool
	}{
		// Of what is not zeros much is text, code and one MiB over and over.
		{"zstd", []string{"--compress", "zstd", "--parallel", "2"}, true, "zstd", func(sent, pages, _ uint64) bool { return sent < pages*4096*3/4 }},
		{"xbzrle", []string{"--compress", "xbzrle"}, false, "none", func(_, _, cached uint64) bool { return cached > 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, from := one(t, memoryVM)
			to := other(from)
			c := newConsole(t)
			if o := c.run(append([]string{"plan", s.Name, "--to", to}, tt.args...)...); o.code == 3 && strings.Contains(o.errOut, from+" does not know "+tt.name) {
				// libvirt knows it from 9.1 on: before, the refusal is all that there is to see.
				v, err := the.Node(from).Exec(t.Context(), "libvirtd", "--version")
				if err != nil || !strings.Contains(v, " 9.0.") {
					t.Errorf("refused by %s: %v %s", v, err, o.errOut)
				}
				return
			}
			stop := observe(s)
			// So short a pause is hardly reached: the copy lasts until another is allowed.
			id := c.start(s.Name, to, append(tt.args, "--bandwidth", "24", "--max-downtime", "1ms")...)
			c.copied(id, "mem")
			var params struct {
				Compression string `json:"multifd-compression"`
				Channels    int    `json:"multifd-channels"`
			}
			query(t, from, s.Name, "query-migrate-parameters", &params)
			var all []struct {
				Name  string `json:"capability"`
				State bool   `json:"state"`
			}
			query(t, from, s.Name, "query-migrate-capabilities", &all)
			on := map[string]bool{}
			for _, c := range all {
				on[c.Name] = c.State
			}
			if params.Compression != tt.method || on["multifd"] != tt.multifd || on["xbzrle"] == tt.multifd || tt.multifd && params.Channels != 2 {
				t.Errorf("QEMU has %+v, multifd %v, xbzrle %v", params, on["multifd"], on["xbzrle"])
			}
			var now struct {
				RAM struct {
					Sent  uint64 `json:"transferred"`
					Pages uint64 `json:"normal"`
				} `json:"ram"`
				Cache struct {
					Pages uint64 `json:"pages"`
				} `json:"xbzrle-cache"`
			}
			until(t, "the source compresses", time.Minute, func() bool {
				query(t, from, s.Name, "query-migrate", &now)
				return now.RAM.Pages > 1024 && tt.compress(now.RAM.Sent, now.RAM.Pages, now.Cache.Pages)
			})
			c.run("tune", id, "--bandwidth", "0", "--max-downtime", "2s")
			c.reach(id, "done")
			stop()
			if at, bad := s.judge(t.Context()); at != to || len(bad) > 0 {
				c.fail(t, id, append(bad, "it is on "+at))
			}
		})
	}
}
