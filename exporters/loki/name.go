package loki

import "strings"

// appendName appends the name of an attribute as Loki stores it: every run of
// characters other than letters and digits becomes one underscore.
//
// It gives what Loki itself would make of the name (its distributor applies
// otlptranslator.LabelNamer to structured metadata), for two reasons: names
// that would meet there must meet here, where the second one is counted; and a
// name that Loki finds empty fails the whole push with a 500, which a client
// would repeat for ever. Such a name becomes "key_".
func appendName(dst []byte, name string) []byte {
	start := len(dst)
	// Names between double underscores keep them.
	reserved := len(name) >= 4 && strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__")
	if reserved {
		name = name[2 : len(name)-2]
		dst = append(dst, "__"...)
	} else if name != "" && name[0] >= '0' && name[0] <= '9' {
		dst = append(dst, "key_"...)
	}
	named, underscore := false, false
	for i := range len(name) {
		if c := name[i]; isAlphanumeric(rune(c)) {
			dst = append(dst, c)
			named, underscore = true, false
		} else if !underscore {
			dst = append(dst, '_')
			underscore = true
		}
	}
	if !named {
		return append(dst[:start], "key_"...)
	}
	if reserved {
		dst = append(dst, "__"...)
	}
	return dst
}
