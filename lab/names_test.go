package lab

import (
	"strings"
	"testing"
)

func TestSubnet(t *testing.T) {
	p, err := parseSubnet("10.77.0.0/24")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{p.gateway().String(), p.node(1).String(), p.cidr(p.node(16)), p.guest(0).String(), p.guest(maxGuests).String()}
	want := "10.77.0.1 10.77.0.11 10.77.0.26/24 10.77.0.101 10.77.0.241"
	if strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	big, err := parseSubnet("10.200.0.0/16")
	if err != nil || big.at(300).String() != "10.200.1.44" {
		t.Errorf("address 300 of a /16 is %s (%v)", big.at(300), err)
	}
	for _, bad := range []string{"", "10.77.0.0", "10.77.0.1/24", "10.77.0.0/25", "10.0.0.0/8", "fd00::/64", "x/24"} {
		if _, err := parseSubnet(bad); err == nil {
			t.Errorf("the subnet %q was taken", bad)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{bridgeName("abcdefgh"), vethName("abcdefgh", maxNodes), vethInner("abcdefgh", maxNodes)} {
		if len(name) > maxIfName {
			t.Errorf("the interface name %s is too long", name)
		}
	}
	for _, bad := range []string{"", "9a", "A", "abcdefghi", "a-b", "a/b", "a b", "ä"} {
		if checkPrefix(bad) == nil {
			t.Errorf("the prefix %q was taken", bad)
		}
	}
	for _, bad := range []string{"", "-x", "a/b", "a\nb", "$(x)", ".x", strings.Repeat("a", 61)} {
		if checkVMName(bad) == nil {
			t.Errorf("the VM name %q was taken", bad)
		}
	}
	for name, want := range map[string]int{"node1": 1, "node16": 16, "node64": 64, "node65": 0, "node0": 0, "node01": 0, "node": 0, "xnode1": 0} {
		if got := nodeIndex(name); got != want {
			t.Errorf("nodeIndex(%s) = %d, want %d", name, got, want)
		}
	}
	for _, bad := range []string{"x", "/", "/a/../b", "/a,b", "/a:b", "/proc/x", "/dev", "/run/lab", "/a\"b"} {
		if checkDir(bad) == nil {
			t.Errorf("the directory %q was taken", bad)
		}
	}
	if err := checkDir("/var/lib/horcrux-lab"); err != nil {
		t.Error(err)
	}
}

func TestMACAndUUID(t *testing.T) {
	first, again := macOf("a", "b"), macOf("a", "b")
	if first == macOf("ab") || first != again || !strings.HasPrefix(macOf("x"), "52:54:00:") {
		t.Error("addresses do not follow from names")
	}
	a, b := randomUUID(), randomUUID()
	if a == b || len(a) != 36 || a[14] != '4' {
		t.Errorf("%s and %s are not two random UUIDs", a, b)
	}
}

func TestValidate(t *testing.T) {
	if err := (Options{}).Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, o := range map[string]Options{
		"prefix":  {Prefix: "NO"},
		"subnet":  {Subnet: "10.0.0.0/8"},
		"nodes":   {Nodes: 65},
		"below":   {Nodes: -1},
		"disk":    {ImagesBytes: 1},
		"vm node": {Nodes: 1, VMs: []VMSpec{{Name: "a", Node: "node2"}}},
		"twice":   {VMs: []VMSpec{{Name: "a"}, {Name: "a"}}},
	} {
		if o.Validate() == nil {
			t.Errorf("%s: bad options were taken", name)
		}
	}
}

func TestRelease(t *testing.T) {
	for text, want := range map[string]string{
		"": "|", "trixie": "trixie|trixie", "node2=trixie": "|trixie", "trixie,node1=sid": "sid|trixie",
	} {
		got, err := parseRelease(text, 2)
		if is := got["node1"] + "|" + got["node2"]; is != want || err != nil {
			t.Errorf("%q is %s (%v), want %s", text, is, err, want)
		}
	}
	for _, bad := range []string{",", "trixie,", "node3=trixie", "=trixie", "node1=", "node1=../x", "-x", "node1", "web=trixie", "node1=a=b"} {
		if got, err := parseRelease(bad, 2); err == nil {
			t.Errorf("the release %q was taken as %v", bad, got)
		}
	}
}
