package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	flag, env := write("flag.toml"), write("env.toml")
	xdg, dot := write("xdg/horcrux/config.toml"), write("home/.config/horcrux/config.toml")
	gone := filepath.Join(dir, "gone")

	tests := []struct {
		name, flag string
		env        map[string]string
		want, err  string
	}{
		{"flag first", flag, map[string]string{"HORCRUX_CONFIG": env, "XDG_CONFIG_HOME": dir + "/xdg"}, flag, ""},
		{"then the variable", "", map[string]string{"HORCRUX_CONFIG": env, "XDG_CONFIG_HOME": dir + "/xdg"}, env, ""},
		{"then XDG", "", map[string]string{"XDG_CONFIG_HOME": dir + "/xdg", "HOME": dir + "/home"}, xdg, ""},
		{"then ~/.config", "", map[string]string{"HOME": dir + "/home"}, dot, ""},
		{"home in the variable", "", map[string]string{"HORCRUX_CONFIG": "~/.config/horcrux/config.toml", "HOME": dir + "/home"}, dot, ""},
		{"a named one must exist", gone, map[string]string{"HORCRUX_CONFIG": env}, "", "named by --config"},
		{"so must that of the variable", "", map[string]string{"HORCRUX_CONFIG": gone}, "", "named by $HORCRUX_CONFIG"},
		{"a directory is none", dir, nil, "", "is a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Find(tt.flag, func(k string) string { return tt.env[k] })
			if got != tt.want || (err == nil) != (tt.err == "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

func TestFindNone(t *testing.T) {
	dir := t.TempDir()
	defer func(real string) { systemPath = real }(systemPath)
	systemPath = dir + "/etc/config.toml"
	_, err := Find("", func(k string) string { return map[string]string{"HOME": dir}[k] })
	var none *ErrNoConfig
	if !errors.As(err, &none) {
		t.Fatalf("got %v", err)
	}
	want := []string{dir + "/.config/horcrux/config.toml", systemPath}
	if d := cmp.Diff(want, none.Places); d != "" {
		t.Error(d)
	}
	for _, p := range want {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s is not named in %v", p, err)
		}
	}
}

func TestFindTellsWhatItCannotLookAt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/horcrux", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A file where a directory belongs: neither there nor missing.
	_, err := Find("", func(k string) string { return map[string]string{"XDG_CONFIG_HOME": dir}[k] })
	if err == nil || !strings.Contains(err.Error(), "cannot look at") {
		t.Errorf("got %v", err)
	}
}
