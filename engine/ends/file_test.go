package ends

import "testing"

func TestParseStat(t *testing.T) {
	if size, at, err := parseStat("4096 1700000000\n"); err != nil || size != 4096 || at.Unix() != 1700000000 {
		t.Errorf("%d %s %v", size, at, err)
	}
	for _, s := range []string{"", "4096", "x y", "1 -5", "-1 5", "1 99999999999999"} {
		if _, _, err := parseStat(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("4096 1700000000")
	f.Fuzz(func(t *testing.T, s string) {
		if _, at, err := parseStat(s); err == nil && at.Unix() < 0 {
			t.Errorf("%q is before all time", s)
		}
	})
}
