package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/BurntSushi/toml"
)

// maxSize bounds what is read: a configuration of a thousand nodes has 100 KB.
const maxSize = 1 << 20

// Load reads a configuration file, strictly. Everything that is wrong in it is
// reported at once, each with its line, as *Error values joined by errors.Join;
// the Config is then not to be used. What the file leaves out has the value of
// Default; a leading ~ in the name of a file has become the home directory.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if len(data) > maxSize {
		return Config{}, &Error{Path: path, Problem: "is larger than 1 MiB", Remedy: "this is not a configuration file"}
	}
	return parse(path, string(data), homeDir())
}

// parse is Load without the file and the surroundings.
func parse(path, text, home string) (Config, error) {
	pos, deep := scan(text)
	if deep {
		return Config{}, &Error{Path: path, Problem: "is nested too deeply", Remedy: "this is not a configuration file"}
	}
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		return Config{}, syntaxError(path, err)
	}
	l := loader{
		problems: problems{path: path, pos: pos},
		home:     home,
		cfg:      Default(),
		seen:     map[string]bool{},
	}
	l.cfg.Path = path
	l.table("", root, l.rootFields())
	l.homes()
	l.check()
	if err := l.err(); err != nil {
		return Config{}, err
	}
	return l.cfg, nil
}

func syntaxError(path string, err error) error {
	var pe toml.ParseError
	if errors.As(err, &pe) {
		return &Error{Path: path, Line: pe.Position.Line, Key: pe.LastKey, Problem: pe.Message, Remedy: "this line is not TOML as it stands"}
	}
	return &Error{Path: path, Problem: err.Error()}
}

// homeDir is empty if nobody knows it; then a ~ in the file is an error.
func homeDir() string {
	if dir, err := os.UserHomeDir(); err == nil && dir != "" {
		return dir
	}
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return ""
}
