package virt

import (
	"encoding/binary"
	"strings"
)

// The library makes slices as long as a reply says before it reads them, and a
// length that does not fit ends the process. So every reply is walked through
// once before the library sees it, by the layout of its procedure:
//
//	i  four bytes       h  eight bytes      u  sixteen bytes
//	s  string or opaque v  value of a typed parameter
//	[…] array of what is inside; an optional is an array of at most one
const (
	layoutDomain = "sui"
	layoutObject = "su" // pool, network
	layoutVolume = "sss"
	layoutParams = "[sv]"
	layoutError  = "iiis" // remote_error, as far as the library reads it
)

const (
	// maxList is the longest list that libvirt's own protocol allows
	// (REMOTE_DOMAIN_LIST_MAX and its like).
	maxList = 16384
	// maxString is REMOTE_STRING_MAX, and that of a migration cookie.
	maxString = 4 << 20
)

var replies = map[uint32]string{
	1:   "",                                      // CONNECT_OPEN
	4:   "h",                                     // CONNECT_GET_VERSION
	6:   strings.Repeat("i", 32) + "hiiiiii",     // NODE_GET_INFO
	7:   "s",                                     // CONNECT_GET_CAPABILITIES
	12:  "",                                      // DOMAIN_DESTROY
	14:  "s",                                     // DOMAIN_GET_XML_DESC
	15:  "i",                                     // DOMAIN_GET_AUTOSTART
	24:  layoutDomain,                            // DOMAIN_LOOKUP_BY_UUID
	27:  "",                                      // DOMAIN_REBOOT
	28:  "",                                      // DOMAIN_RESUME
	29:  "",                                      // DOMAIN_SET_AUTOSTART
	34:  "",                                      // DOMAIN_SUSPEND
	43:  "s",                                     // NETWORK_GET_XML_DESC
	44:  "i",                                     // NETWORK_GET_AUTOSTART
	45:  "s",                                     // NETWORK_GET_BRIDGE_NAME
	59:  "s",                                     // CONNECT_GET_HOSTNAME
	60:  "i",                                     // CONNECT_SUPPORTS_FEATURE
	66:  "[i]",                                   // AUTH_LIST
	70:  "i",                                     // AUTH_POLKIT
	83:  "",                                      // STORAGE_POOL_REFRESH
	84:  layoutObject,                            // STORAGE_POOL_LOOKUP_BY_NAME
	87:  "ihhh",                                  // STORAGE_POOL_GET_INFO
	88:  "s",                                     // STORAGE_POOL_GET_XML_DESC
	93:  layoutVolume,                            // STORAGE_VOL_CREATE_XML
	94:  "",                                      // STORAGE_VOL_DELETE
	97:  layoutVolume,                            // STORAGE_VOL_LOOKUP_BY_PATH
	99:  "s",                                     // STORAGE_VOL_GET_XML_DESC
	151: "i",                                     // DOMAIN_IS_PERSISTENT
	152: "i",                                     // NETWORK_IS_ACTIVE
	157: "h",                                     // CONNECT_GET_LIB_VERSION
	163: "ihhhhhhhhhhh",                          // DOMAIN_GET_JOB_INFO
	164: "",                                      // DOMAIN_ABORT_JOB
	166: "",                                      // DOMAIN_MIGRATE_SET_MAX_DOWNTIME
	183: "i",                                     // DOMAIN_HAS_MANAGED_SAVE_IMAGE
	185: "s" + layoutDomain,                      // DOMAIN_SNAPSHOT_CREATE_XML
	186: "s",                                     // DOMAIN_SNAPSHOT_GET_XML_DESC
	187: "i",                                     // DOMAIN_SNAPSHOT_NUM
	192: "",                                      // DOMAIN_REVERT_TO_SNAPSHOT
	193: "",                                      // DOMAIN_SNAPSHOT_DELETE
	194: "hhh",                                   // DOMAIN_GET_BLOCK_INFO
	196: layoutDomain,                            // DOMAIN_CREATE_WITH_FLAGS
	201: "",                                      // DOMAIN_OPEN_CONSOLE
	207: "",                                      // DOMAIN_MIGRATE_SET_MAX_SPEED
	212: "ii",                                    // DOMAIN_GET_STATE
	227: "[sh]i",                                 // NODE_GET_CPU_STATS
	228: "[sh]i",                                 // NODE_GET_MEMORY_STATS
	231: "",                                      // DOMAIN_UNDEFINE_FLAGS
	237: "",                                      // DOMAIN_BLOCK_JOB_ABORT
	238: "iihhh",                                 // DOMAIN_GET_BLOCK_JOB_INFO
	239: "",                                      // DOMAIN_BLOCK_JOB_SET_SPEED
	258: "",                                      // DOMAIN_SHUTDOWN_FLAGS
	264: "",                                      // DOMAIN_SET_METADATA
	265: "s",                                     // DOMAIN_GET_METADATA
	273: "[" + layoutDomain + "]i",               // CONNECT_LIST_ALL_DOMAINS
	274: "[s" + layoutDomain + "]i",              // DOMAIN_LIST_ALL_SNAPSHOTS
	281: "[" + layoutObject + "]i",               // CONNECT_LIST_ALL_STORAGE_POOLS
	282: "[" + layoutVolume + "]i",               // STORAGE_POOL_LIST_ALL_VOLUMES
	283: "[" + layoutObject + "]i",               // CONNECT_LIST_ALL_NETWORKS
	290: "",                                      // DOMAIN_BLOCK_COMMIT
	298: "i" + layoutParams,                      // DOMAIN_GET_JOB_STATS
	302: "ss",                                    // DOMAIN_MIGRATE_BEGIN3_PARAMS
	303: "s[s]",                                  // DOMAIN_MIGRATE_PREPARE3_PARAMS
	305: "s",                                     // DOMAIN_MIGRATE_PERFORM3_PARAMS
	306: layoutDomain + "s",                      // DOMAIN_MIGRATE_FINISH3_PARAMS
	307: "",                                      // DOMAIN_MIGRATE_CONFIRM3_PARAMS
	316: "i",                                     // CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
	342: "s",                                     // CONNECT_GET_DOMAIN_CAPABILITIES
	344: "[" + layoutDomain + layoutParams + "]", // CONNECT_GET_ALL_DOMAIN_STATS
	350: layoutDomain,                            // DOMAIN_DEFINE_XML_FLAGS
	353: "[s[s][isi]]",                           // DOMAIN_INTERFACE_ADDRESSES
	364: "",                                      // DOMAIN_MIGRATE_START_POST_COPY
	393: "i",                                     // CONNECT_COMPARE_HYPERVISOR_CPU
	442: "",                                      // DOMAIN_ABORT_JOB_FLAGS
}

var qemuReplies = map[uint32]string{
	1: "s",   // DOMAIN_MONITOR_COMMAND
	3: "[s]", // DOMAIN_AGENT_COMMAND
}

// fitsReply tells that a reply is no larger inside than outside. A procedure
// without a layout does not fit.
func fitsReply(p []byte) bool {
	table := replies
	if word(p, 1) == programQEMU {
		table = qemuReplies
	}
	layout, known := table[word(p, 3)]
	if word(p, 6) != 0 {
		layout = layoutError
	}
	_, ok := walk(layout, p[headerLen:])
	return known && ok
}

// walk goes through p by a layout and gives what is left.
func walk(layout string, p []byte) (rest []byte, ok bool) {
	for i := 0; i < len(layout); i++ {
		n := 0
		switch layout[i] {
		case 'i':
			n = 4
		case 'h':
			n = 8
		case 'u':
			n = 16
		case 's':
			if n, ok = stringLen(p); !ok {
				return nil, false
			}
		case 'v':
			if len(p) < 4 {
				return nil, false
			}
			kind := int(binary.BigEndian.Uint32(p))
			const byKind = " iihhhis" // int, uint, llong, ullong, double, boolean, string
			if kind < 1 || kind >= len(byKind) {
				return nil, false
			}
			if p, ok = walk(byKind[kind:kind+1], p[4:]); !ok {
				return nil, false
			}
		case '[':
			end := closing(layout[i:])
			if p, ok = walkArray(layout[i+1:i+end], p); !ok {
				return nil, false
			}
			i += end
		}
		if len(p) < n {
			return nil, false
		}
		p = p[n:]
	}
	return p, true
}

func walkArray(layout string, p []byte) (rest []byte, ok bool) {
	if len(p) < 4 {
		return nil, false
	}
	count := binary.BigEndian.Uint32(p)
	p = p[4:]
	if count > maxList {
		return nil, false
	}
	for range count {
		if p, ok = walk(layout, p); !ok {
			return nil, false
		}
	}
	return p, true
}

// stringLen is what a string takes, with its length and padding.
func stringLen(p []byte) (int, bool) {
	if len(p) < 4 {
		return 0, false
	}
	n := uint64(binary.BigEndian.Uint32(p))
	if n > maxString {
		return 0, false
	}
	n = 4 + (n+3)&^3
	return int(min(n, maxPacket+1)), n <= uint64(len(p))
}

// closing is where the bracket that layout begins with ends.
func closing(layout string) int {
	depth := 0
	for i := range len(layout) {
		switch layout[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(layout)
}
