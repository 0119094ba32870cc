package ends

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// Rights tells owner and mode of a file.
func (e *End) Rights(ctx context.Context, p string) (model.Rights, error) {
	if err := absolute(p); err != nil {
		return model.Rights{}, err
	}
	res, err := e.node.Exec(ctx, []string{"stat", "-L", "-c", "%u %g %a", "--", p}, nil)
	if err != nil {
		return model.Rights{}, err
	}
	if res.Code != 0 {
		return model.Rights{}, fmt.Errorf("stat on %s answered %d: %s", e.Name(), res.Code, virt.Clean(strings.TrimSpace(string(res.Stderr))))
	}
	return parseRights(p, string(res.Stdout))
}

// parseRights reads "UID GID MODE".
func parseRights(p, s string) (model.Rights, error) {
	bad := fmt.Errorf("cannot read the answer of stat: %q", virt.Clean(s))
	f := strings.Fields(s)
	if len(f) != 3 {
		return model.Rights{}, bad
	}
	uid, err1 := strconv.ParseUint(f[0], 10, 32)
	gid, err2 := strconv.ParseUint(f[1], 10, 32)
	mode, err3 := strconv.ParseUint(f[2], 8, 12)
	if err1 != nil || err2 != nil || err3 != nil {
		return model.Rights{}, bad
	}
	return model.Rights{Path: p, UID: uint32(uid), GID: uint32(gid), Mode: strconv.FormatUint(mode, 8)}, nil
}

// SetRights makes owner and mode of a file what they were, and tells whether they
// were not. Owners change first: that takes some modes away.
func (e *End) SetRights(ctx context.Context, want model.Rights) (changed bool, err error) {
	is, err := e.Rights(ctx, want.Path)
	if err != nil || is == want {
		return false, err
	}
	if err := e.run(ctx, "chown", "--", fmt.Sprintf("%d:%d", want.UID, want.GID), want.Path); err != nil {
		return false, err
	}
	if err := e.run(ctx, "chmod", "--", want.Mode, want.Path); err != nil {
		return false, err
	}
	if is, err = e.Rights(ctx, want.Path); err == nil && is != want {
		err = fmt.Errorf("%s on %s belongs to %d:%d with mode %s, and cannot be given to %d:%d with mode %s",
			want.Path, e.Name(), is.UID, is.GID, is.Mode, want.UID, want.GID, want.Mode)
	}
	return err == nil, err
}
