package survey

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/plan"
	"horcrux/engine/virt"
)

// prove finds out, directory by directory, whether both nodes see the same
// bytes. Where the target has no file of that name there is nothing to prove.
func prove(ctx context.Context, src, dst *fleet.Node, disks []plan.Disk, onTarget map[string]bool) plan.SharedProof {
	proofs := plan.SharedProof{}
	byDir := map[string]plan.Proof{}
	for _, d := range disks {
		if d.Type != "file" || !path.IsAbs(d.Source) {
			continue
		}
		exists, looked := onTarget[d.Source]
		if !looked {
			continue
		}
		if !exists {
			proofs[d.Target] = plan.Proof{Separate: true, Detail: fmt.Sprintf("%s has no such file", dst.Name())}
			continue
		}
		dir := path.Dir(d.Source)
		if _, done := byDir[dir]; !done {
			byDir[dir] = proveDir(ctx, src, dst, dir)
		}
		proofs[d.Target] = byDir[dir]
	}
	return proofs
}

// proveDir writes a mark through the source and looks for it through the target.
func proveDir(ctx context.Context, src, dst *fleet.Node, dir string) plan.Proof {
	var p plan.Proof
	if res, err := src.Exec(ctx, []string{"stat", "-f", "-c", "%T", dir}, nil); err == nil && res.Code == 0 {
		p.FS = virt.Clean(strings.TrimSpace(string(res.Stdout)))
	}
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		p.Detail = err.Error()
		return p
	}
	secret := []byte(hex.EncodeToString(b[:]))
	mark := path.Join(dir, ".horcrux-mark-"+hex.EncodeToString(b[:4]))
	defer removeMark(ctx, src, mark)
	res, err := src.Exec(ctx, []string{"tee", "--", mark}, bytes.NewReader(secret))
	if err != nil || res.Code != 0 {
		p.Detail = fmt.Sprintf("%s could not write a mark to %s: %s", src.Name(), dir, words(err, res.Stderr))
		return p
	}
	res, err = dst.Exec(ctx, []string{"cat", "--", mark}, nil)
	switch {
	case err != nil:
		p.Detail = fmt.Sprintf("%s could not be asked for the mark: %v", dst.Name(), err)
	case res.Code == 0 && bytes.Equal(bytes.TrimSpace(res.Stdout), secret):
		p.Proved = true
		p.Detail = fmt.Sprintf("a mark written by %s was read by %s", src.Name(), dst.Name())
	default:
		p.Separate = true
		p.Detail = fmt.Sprintf("a mark written by %s is not seen by %s", src.Name(), dst.Name())
	}
	return p
}

// removeMark removes the mark, even when the time for the survey is over.
func removeMark(ctx context.Context, n *fleet.Node, mark string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, _ = n.Exec(ctx, []string{"rm", "-f", "--", mark}, nil)
}

func words(err error, stderr []byte) string {
	if err != nil {
		return err.Error()
	}
	return virt.Clean(strings.TrimSpace(string(stderr)))
}
