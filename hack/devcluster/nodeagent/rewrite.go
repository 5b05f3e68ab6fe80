package nodeagent

import (
	"path"
	"sort"
	"strings"
)

// pathMap replaces a container's paths by those of this machine. Processes here have no mount namespace, so a path in a
// command, an argument or a variable has to be the real one.
type pathMap struct{ rules []pathRule }

type pathRule struct{ from, to string }

func (m *pathMap) add(from, to string) {
	from = path.Clean(from)
	if from == "/" || from == "." {
		return // would be in every path
	}
	m.rules = append(m.rules, pathRule{from, to})
	// The longest first: a mount inside another mount's folder is the more exact one.
	sort.SliceStable(m.rules, func(i, j int) bool { return len(m.rules[i].from) > len(m.rules[j].from) })
}

// rewrite replaces every path in text that is one of the map's or below it. It reads text once from left to right, so that
// what it has put in is never replaced again.
func (m *pathMap) rewrite(text string) string {
	if len(m.rules) == 0 || !strings.Contains(text, "/") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		rule, ok := m.at(text, i)
		if !ok {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(rule.to)
		i += len(rule.from)
	}
	return out.String()
}

// at returns the rule for the path that begins at i.
func (m *pathMap) at(text string, i int) (pathRule, bool) {
	if text[i] != '/' || !startsPath(text, i) {
		return pathRule{}, false
	}
	for _, rule := range m.rules {
		if !strings.HasPrefix(text[i:], rule.from) {
			continue
		}
		end := i + len(rule.from)
		if end == len(text) || !inName(text, end) {
			return rule, true
		}
	}
	return pathRule{}, false
}

// startsPath says whether the slash at i can be the first of an absolute path: "/x", "--f=/x", "a:/x" and "file:///x", but not
// the second slash of "/a/x" or of "host/x".
func startsPath(text string, i int) bool {
	if i == 0 {
		return true
	}
	c := text[i-1]
	if c == '/' {
		return strings.HasSuffix(text[:i], "://")
	}
	return !nameByte(c) && c != '.' && c != '~'
}

// inName says whether the byte at i goes on with a file name, so that what was matched is only a part of it. A dot that ends
// the text or a sentence does not.
func inName(text string, i int) bool {
	if text[i] == '.' {
		return i+1 < len(text) && (nameByte(text[i+1]) || text[i+1] == '.')
	}
	return nameByte(text[i])
}

func nameByte(c byte) bool {
	return c == '_' || c == '-' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
