package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// systemPath is the last place where a configuration is looked for. Only tests
// change it.
var systemPath = "/etc/horcrux/config.toml"

// Find says which configuration file is to be used: the one named by --config,
// $HORCRUX_CONFIG, $XDG_CONFIG_HOME/horcrux/config.toml (~/.config without that
// variable), /etc/horcrux/config.toml, in this order.
//
// A file that was named must be there: another one is never taken in its place.
// When none was named and none is found, the error is an *ErrNoConfig. A file
// that cannot be looked at is an error and not the same as one that is missing.
func Find(flagPath string, env func(string) string) (string, error) {
	for _, named := range []struct{ by, path string }{
		{"--config", flagPath},
		{"$HORCRUX_CONFIG", env("HORCRUX_CONFIG")},
	} {
		if named.path == "" {
			continue
		}
		path, err := expandHome(named.path, env("HOME"))
		if err == nil {
			err = isFile(path)
		}
		if err != nil {
			return "", fmt.Errorf("cannot use the configuration named by %s: %w", named.by, err)
		}
		return path, nil
	}

	var places []string
	switch {
	case env("XDG_CONFIG_HOME") != "":
		places = append(places, filepath.Join(env("XDG_CONFIG_HOME"), "horcrux", "config.toml"))
	case env("HOME") != "":
		places = append(places, filepath.Join(env("HOME"), ".config", "horcrux", "config.toml"))
	}
	places = append(places, systemPath)
	for _, path := range places {
		switch err := isFile(path); {
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("cannot look at the configuration: %w", err)
		}
	}
	return "", &ErrNoConfig{Places: places}
}

func isFile(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.IsDir() {
		return fmt.Errorf("%s is a directory; name a file", path)
	}
	return nil
}
