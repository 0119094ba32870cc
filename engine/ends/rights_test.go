package ends

import (
	"testing"

	"horcrux/engine/model"
)

func TestParseRights(t *testing.T) {
	got, err := parseRights("/a", "64055 130 644\n")
	if want := (model.Rights{Path: "/a", UID: 64055, GID: 130, Mode: "644"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"", "1 2", "1 2 3 4", "-1 2 644", "1 2 648", "1 2 +r", "99999999999 1 644", "1 1 17777"} {
		if got, err := parseRights("/a", s); err == nil {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

func FuzzParseRights(f *testing.F) {
	f.Add("64055 130 644\n")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRights("/a", s)
		if err == nil && (r.Mode == "" || len(r.Mode) > 4) {
			t.Errorf("%q: %+v", s, r)
		}
	})
}
