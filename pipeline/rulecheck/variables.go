package rulecheck

import (
	"encoding/json"
	"regexp"
	"strings"
)

// anyValue stands for a dashboard's variable in a query: a matcher with it
// matches everything. Letters only, so that the query still parses.
const anyValue = "crowsnestAnyValue"

// variable of a dashboard.
type variable struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Current struct {
		Value value `json:"value"`
	} `json:"current"`
}

// value is a text, or with several selected a list of texts.
type value string

func (v *value) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*v = value(one)
	}
	return nil
}

// durations are the variables that Grafana itself has for ranges.
var durations = strings.NewReplacer(
	"${__rate_interval}", "5m", "$__rate_interval", "5m",
	"${__interval}", "1m", "$__interval", "1m",
	"${__range}", "1h", "$__range_s", "3600", "$__range_ms", "3600000", "$__range", "1h",
	"$__auto", "5m", "${__from}", "0", "$__from", "0",
)

var (
	// reference is $name, ${name}, ${name:format} or [[name]]; $1 is a group of
	// label_replace.
	reference = regexp.MustCompile(`\$\{[A-Za-z_]\w*(?::\w+)?\}|\$[A-Za-z_]\w*|\[\[\w+\]\]`)
	// inBrackets is a range made of a variable.
	inBrackets = regexp.MustCompile(`\[` + anyValue + `(:[^\]]*)?\]`)
)

// substitute puts values for the variables of an expression: those of numbers
// and intervals have their current one, all others stand for anything.
func substitute(expr string, variables []variable) string {
	expr = durations.Replace(expr)
	expr = reference.ReplaceAllStringFunc(expr, func(ref string) string {
		name := strings.Trim(ref, "${}[]")
		name, _, _ = strings.Cut(name, ":")
		for _, v := range variables {
			if v.Name == name && (v.Type == "interval" || v.Type == "constant" || v.Type == "custom" && isNumber(string(v.Current.Value))) {
				return string(v.Current.Value)
			}
		}
		return anyValue
	})
	return inBrackets.ReplaceAllString(expr, "[5m$1]")
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}
