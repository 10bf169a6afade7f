package statuspage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// quantity is a number for people: 1234 is "1,234", 1234567 is "1.23 M".
func quantity(v float64) string {
	switch abs := math.Abs(v); {
	case abs < 1e5:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case abs < 1e6:
		return fmt.Sprintf("%.0f k", v/1e3)
	case abs < 1e9:
		return fmt.Sprintf("%.2f M", v/1e6)
	case abs < 1e12:
		return fmt.Sprintf("%.2f G", v/1e9)
	default:
		return fmt.Sprintf("%.2f T", v/1e12)
	}
}

// exact is a count with all its digits.
func exact(v float64) string { return thousands(strconv.FormatFloat(v, 'f', 0, 64)) }

func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// rate is per second.
func rate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.1:
		return "<0.1"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return quantity(v)
	}
}

func byteSize(v float64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= step && i < len(units)-1 {
		v /= step
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// age is how long ago a time was; "never" for none.
func age(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return duration(max(0, now.Sub(then)))
}

func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "under 1 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// count is "1 node", "2 nodes".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// title is a store's name as it writes itself.
func title(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}
