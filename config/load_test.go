package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

const home = "/home/ada"

const oneNode = `[[node]]
name = "n1"
address = "192.0.2.1"
`

func TestLoadErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "f:1: node: there is no node in the file; write [[node]]"},
		{"unknown top", "\npol_interval = \"1s\"\n" + oneNode, "f:2: pol_interval: is not a key of the configuration; did you mean poll_interval?"},
		{"unknown table", "[zzzzzz]\na = 1\n" + oneNode, "f:1: zzzzzz: is not a key of the configuration; the file has poll_interval, ssh, migration, ui, node, application"},
		{"unknown in ssh", "[ssh]\n# known\nport = 22\n" + oneNode, "f:3: ssh.port: is not a key of the configuration; ssh has user"},
		{"unknown in second node", oneNode + "[[node]]\nname=\"b\"\naddress=\"c\"\ncolour=\"red\"\n", "f:7: node[1].colour: is not a key"},
		{"wrong case", oneNode + "Name2 = 1\n", "f:4: node[0].Name2: is not a key of the configuration; did you mean name?"},
		{"hidden in a string", "poll_interval = \"\"\"500ms\"\"\"\nx = '''\nb = 1\n'''\nzoo = 1\n" + oneNode, "f:5: zoo: is not a key"},
		{"dotted key", "ssh.userr = \"a\"\n" + oneNode, "f:1: ssh.userr: is not a key of the configuration; did you mean user?"},
		{"inline table", "ssh = { user = \"a\", xyz_key = 1 }\n" + oneNode, "f:1: ssh.xyz_key: is not a key"},
		{"quoted key", "\"a b\" = 1\n" + oneNode, `f:1: "a b": is not a key`},
		{"inline nodes", "node = [\n  { name = \"a\", address = \"a\" },\n  { name = \"b\", adress = \"b\" },\n]\n", "f:3: node[1].adress: is not a key of the configuration; did you mean address?"},
		{"duration without unit", "poll_interval = 500\n" + oneNode, `f:1: poll_interval: is the number 500, not a time; write a time with its unit, as "500ms"`},
		{"duration without unit, text", "poll_interval = \"500\"\n" + oneNode, `f:1: poll_interval: "500" is not a time`},
		{"duration too short", "poll_interval = \"1ms\"\n" + oneNode, "f:1: poll_interval: 1ms is out of range; write 100ms to 1m"},
		{"duration negative", "[migration]\nmax_downtime = \"-1s\"\n" + oneNode, "f:2: migration.max_downtime: -1s is out of range"},
		{"mode", "[migration]\nmode = \"warm\"\n" + oneNode, `f:2: migration.mode: "warm" is not known; write one of live, online, offline, block`},
		{"bandwidth negative", "[migration]\nbandwidth = -1\n" + oneNode, "f:2: migration.bandwidth: -1 is out of range; write MiB/s"},
		{"bandwidth words", "[migration]\nbandwidth = \"fast\"\n" + oneNode, `f:2: migration.bandwidth: "fast" is not a bandwidth`},
		{"bandwidth float", "[migration]\nbandwidth = 1.5\n" + oneNode, "f:2: migration.bandwidth: is the number 1.5, not a bandwidth"},
		{"parallel", "[migration]\nparallel_per_node = 0\n" + oneNode, "f:2: migration.parallel_per_node: 0 is out of range; write a number from 1 to 8"},
		{"parallel type", "[migration]\nparallel_per_node = \"2\"\n" + oneNode, `f:2: migration.parallel_per_node: is the string "2", not a whole number`},
		{"boolean", "[ui]\nmouse = \"yes\"\n" + oneNode, `f:2: ui.mouse: is the string "yes"; write true or false`},
		{"theme", "[ui]\ntheme = \"pink\"\n" + oneNode, "f:2: ui.theme:"},
		{"table as value", "ssh = 1\n" + oneNode, "f:1: ssh: is the number 1, not a table; write [ssh]"},
		{"node as table", "[node]\nname=\"a\"\n", "f:1: node: is a table, not a list of tables; write [[node]]"},
		{"node as list of numbers", "node = [1]\n", "f:1: node: has the number 1 in its list"},
		{"no name", "[[node]]\naddress = \"a\"\n", `f:1: node[0].name: is missing; write name = "node1"`},
		{"no address", "[[node]]\nname = \"a\"\n", "f:1: node[0].address: is missing"},
		{"empty name", "[[node]]\nname = \"\"\naddress = \"a\"\n", `f:2: node[0].name: "" cannot be the name of a node`},
		{"name with slash", "[[node]]\nname = \"a/b\"\naddress = \"a\"\n", `f:2: node[0].name: "a/b" cannot be`},
		{"same name", oneNode + "[[node]]\nname = \"N1\"\naddress = \"b\"\n", `f:5: node[1].name: "N1" is the name of the node on line 1 as well`},
		{"same address", oneNode + "[[node]]\nname = \"n2\"\naddress = \"192.0.2.1:22\"\n", `f:6: node[1].address: "192.0.2.1:22" is the address of the node on line 1 as well`},
		{"address with user", "[[node]]\nname = \"a\"\naddress = \"root@a\"\n", "f:3: node[0].address: \"root@a\" has a user in it; write the user in the key user"},
		{"address as URL", "[[node]]\nname = \"a\"\naddress = \"ssh://a\"\n", "f:3: node[0].address: \"ssh://a\" is a URL"},
		{"bad port", "[[node]]\nname = \"a\"\naddress = \"a:0\"\n", `f:3: node[0].address: "0" is not a port`},
		{"bad host", "[[node]]\nname = \"a\"\naddress = \"a b\"\n", `f:3: node[0].address: "a b" is not an address`},
		{"option as host", "[[node]]\nname = \"a\"\naddress = \"-oProxyCommand=x\"\n", "f:3: node[0].address:"},
		{"option as user", oneNode + "user = \"-l\"\n", `f:4: node[0].user: "-l" cannot be the name of a user`},
		{"jump", oneNode + "jump = \"a,,b\"\n", `f:4: node[0].jump: "" is not a host; write user@host:port`},
		{"jump user", oneNode + "jump = \"@b\"\n", `f:4: node[0].jump: "@b" has no good user name`},
		{"remote uri", oneNode + "uri = \"qemu+ssh://h/system\"\n", `f:4: node[0].uri: "qemu+ssh://h/system" leads to another host`},
		{"other driver", oneNode + "uri = \"xen:///system\"\n", "f:4: node[0].uri:"},
		{"not a uri", oneNode + "uri = \"system\"\n", "f:4: node[0].uri:"},
		{"migrate port", oneNode + "migrate_address = \"a:1\"\n", `f:4: node[0].migrate_address: "a:1" has a port; write the host alone`},
		{"relative path", "[ssh]\nidentity_file = \"id\"\n" + oneNode, `f:2: ssh.identity_file: "id" begins nowhere; write /the/full/path or ~/path`},
		{"other home", "[ssh]\nidentity_file = \"~bob/id\"\n" + oneNode, `f:2: ssh.identity_file: "~bob/id": only ~/ is understood`},
		{"no known_hosts", "[ssh]\nknown_hosts = \"\"\n" + oneNode, "f:2: ssh.known_hosts: names no file"},
		{"application without vm", oneNode + "[[application]]\ntcp = \"{ip}:1\"\n", "f:4: application[0].vm: is missing"},
		{"application without check", oneNode + "[[application]]\nvm = \"a\"\n", "f:4: application[0]: has 0 things to check; write exactly one of http, tcp, command"},
		{"application with two", oneNode + "[[application]]\nvm = \"a\"\ntcp = \"{ip}:1\"\nhttp = \"http://{ip}\"\n", "f:4: application[0]: has 2 things to check"},
		{"bad pattern", oneNode + "[[application]]\nvm = \"[\"\ntcp = \"{ip}:1\"\n", `f:5: application[0].vm: "[" is not a pattern`},
		{"bad URL", oneNode + "[[application]]\nvm = \"a\"\nhttp = \"{ip}/x\"\n", "f:6: application[0].http:"},
		{"bad holder", oneNode + "[[application]]\nvm = \"a\"\nhttp = \"http://{addr}/x\"\n", `f:6: application[0].http: "{addr}" is not known; only {ip} and {name} are filled in`},
		{"tcp without port", oneNode + "[[application]]\nvm = \"a\"\ntcp = \"{ip}\"\n", "f:6: application[0].tcp:"},
		{"status without http", oneNode + "[[application]]\nvm = \"a\"\ntcp = \"{ip}:1\"\nstatus = 200\n", "f:7: application[0].status: belongs to http"},
		{"status range", oneNode + "[[application]]\nvm = \"a\"\nhttp = \"http://{ip}\"\nstatus = 99\n", "f:7: application[0].status: 99 is out of range"},
		{"empty command", oneNode + "[[application]]\nvm = \"a\"\ncommand = []\n", "f:6: application[0].command: is an empty list"},
		{"command as text", oneNode + "[[application]]\nvm = \"a\"\ncommand = \"ls\"\n", `f:6: application[0].command: is the string "ls"; write a list`},
		{"command with number", oneNode + "[[application]]\nvm = \"a\"\ncommand = [\"ls\", 1]\n", "f:6: application[0].command: has the number 1 in its list"},
		{"syntax", "a = \n" + oneNode, "f:1: a: "},
		{"syntax later", oneNode + "user = \"x\n", "f:4: "},
		{"key twice", oneNode + "name = \"b\"\n", "f:4: "},
		{"not UTF-8", oneNode + "user = \"\xff\"\n", "f:4: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse("f", tt.text, home)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			var e *Error
			if !errors.As(err, &e) || e.Line == 0 {
				t.Errorf("no *Error with a line in %v", err)
			}
		})
	}
}

func TestLoadTellsAllErrorsInOrder(t *testing.T) {
	_, err := parse("f", "[ui]\ntheme = 1\nmouse = 1\n[ssh]\nuser = \"\"\n[[node]]\n", home)
	if err == nil {
		t.Fatal("no error")
	}
	var lines []string
	for l := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, strings.SplitN(l, ": ", 3)[0]+" "+strings.SplitN(l, ": ", 3)[1])
	}
	want := []string{"f:2 ui.theme", "f:3 ui.mouse", "f:5 ssh.user", "f:6 node[0].name", "f:6 node[0].address"}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(d)
	}
}

func TestLoadAccepts(t *testing.T) {
	tests := []struct{ name, text string }{
		{"bare bandwidth", "migration.bandwidth = 100\n" + oneNode},
		{"bandwidth with unit", "migration.bandwidth = \"100 MiB/s\"\n" + oneNode},
		{"IPv6", "[[node]]\nname=\"a\"\naddress=\"2001:db8::1\"\nmigrate_address=\"2001:db8::2\"\n[[node]]\nname=\"b\"\naddress=\"[2001:db8::1]:2222\"\n"},
		{"one address behind two jumps", "[[node]]\nname=\"a\"\naddress=\"10.0.0.1\"\njump=\"x\"\n[[node]]\nname=\"b\"\naddress=\"10.0.0.1\"\njump=\"root@y:22\"\n"},
		{"two ports", oneNode + "[[node]]\nname=\"b\"\naddress=\"192.0.2.1:23\"\n"},
		{"test driver", oneNode + "uri = \"test:///default\"\n"},
		{"CRLF and BOM", "\ufeff" + strings.ReplaceAll(oneNode, "\n", "\r\n")},
		{"inline", "node = [{name = \"a\", address = \"b\"}]"},
		{"no ssh config", "ssh.config_file = \"\"\n" + oneNode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parse("f", tt.text, home); err != nil {
				t.Error(err)
			}
		})
	}
}

// The TOML library would think about these for hours.
func TestLoadRefusesDepth(t *testing.T) {
	for _, text := range []string{
		"a = " + strings.Repeat("[", maxSize-4), "a = " + strings.Repeat("{a=", maxSize/3-4), strings.Repeat("a.", maxSize/2-4) + "a = 1",
		"[" + strings.Repeat("a.", maxSize/2-4) + "a]\n",
	} {
		if _, err := parse("f", text, home); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("%s…: %.80v", text[:10], err)
		}
	}
}

func TestLoadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(oneNode), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Path != path || c.Nodes[0].URI != defaultURI || !filepath.IsAbs(c.SSH.KnownHosts) {
		t.Errorf("got %+v", c)
	}
	if err := os.WriteFile(path, make([]byte, maxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a large file: %v", err)
	}
}

func example(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExampleIsTheDefault(t *testing.T) {
	got, err := parse("f", example(t), home)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Path = "f"
	want.SSH.KnownHosts, want.SSH.ConfigFile = home+"/.ssh/known_hosts", home+"/.ssh/config"
	want.Nodes = []Node{
		{Name: "node1", Address: "192.0.2.11", URI: defaultURI},
		{
			Name: "node2", Address: "node2.example.net:2222", User: "admin",
			IdentityFile: home + "/.ssh/id_node2", KnownHosts: home + "/.ssh/known_hosts_node2",
			Jump: "root@bastion.example.net:22", URI: defaultURI, MigrateAddress: "10.0.0.12",
			Addresses: []string{"192.0.2.12", "[2001:db8::12]:2222"}, Sudo: new(true),
		},
	}
	want.Applications = []Application{
		{VM: "web*", HTTP: "http://{ip}/health", Status: 200, Timeout: defaultAppTimeout},
		{VM: "db?", TCP: "{ip}:5432", Timeout: defaultAppTimeout},
		{VM: "mail", Command: []string{"/usr/bin/systemctl", "is-active", "postfix"}, Timeout: defaultAppTimeout},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Every field of Config is set by the key that its name suggests, and that key
// stands in the example.
func TestEveryFieldHasADocumentedKey(t *testing.T) {
	pos := scanPositions(example(t))
	tables := map[string]reflect.Type{
		"": reflect.TypeFor[Config](), "ssh": reflect.TypeFor[SSH](), "migration": reflect.TypeFor[Migration](),
		"ui": reflect.TypeFor[UI](), "node[1]": reflect.TypeFor[Node](), "application[": reflect.TypeFor[Application](),
	}
	l := &loader{}
	n, a := &Node{}, &Application{}
	known := map[string][]field{
		"": l.rootFields(), "ssh": l.sshFields(), "migration": l.migrationFields(), "ui": l.uiFields(),
		"node[1]": l.nodeFields(n), "application[": l.applicationFields(a),
	}
	for table, typ := range tables {
		keys := map[string]bool{}
		for f := range typ.Fields() {
			key := keyOf(f.Name)
			if table == "" && key == "path" {
				continue
			}
			keys[key] = true
			if !documented(pos, table, key) {
				t.Errorf("config.example.toml does not have %s of [%s]", key, table)
			}
		}
		for _, f := range known[table] {
			if !keys[f.key] {
				t.Errorf("[%s] knows the key %s, and no field has it", table, f.key)
			}
			delete(keys, f.key)
		}
		for key := range keys {
			t.Errorf("[%s] has a field for %s, and no such key", table, key)
		}
	}
}

func documented(pos positions, table, key string) bool {
	for p := range pos {
		if strings.HasPrefix(p, table) && (p == key || strings.HasSuffix(p, "."+key)) {
			return true
		}
	}
	return false
}

var upper = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])|([a-z])([A-Z])`)

// keyOf turns IdentityFile into identity_file, Nodes into node.
func keyOf(name string) string {
	if name == "Nodes" || name == "Applications" {
		name = strings.TrimSuffix(name, "s")
	}
	return strings.Map(unicode.ToLower, upper.ReplaceAllString(name, "${1}${3}_${2}${4}"))
}

func TestChoicesAreTheModels(t *testing.T) {
	same := func(got []string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	same(modes, words(model.Modes)...)
	same(policies, words(model.Policies)...)
	same(compressions, words(model.Compressions)...)
	same(tlsWishes, words(model.TLSWishes)...)
	same(finishes, words(model.Finishes)...)
	same(dataPaths, words(model.DataPaths)...)
}

func words[T ~string](in []T) []string {
	var out []string
	for _, w := range in {
		out = append(out, string(w))
	}
	return out
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 100 * time.Millisecond: "100ms"} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %s, want %s", d, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	b, err := os.ReadFile("../config.example.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("a = \"\"\"x\\\"\"\"\"\"\n[[a.b]]\nc = [{d = [1, '''\n''']}]\n")
	f.Add("[")
	f.Add("a={=\nb=[,]")
	f.Fuzz(func(t *testing.T, text string) {
		scanPositions(text)
		if _, err := parse("f", text, home); err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("not an *Error: %v", err)
			}
		}
	})
}
