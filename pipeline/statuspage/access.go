package statuspage

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	minTokenBytes = 16
	maxTokenBytes = 4096
	cookieName    = "crowsnest_status"
	cookieLife    = 12 * time.Hour
	// tokenRereadEvery is how often the token file is looked at.
	tokenRereadEvery = 10 * time.Second
	// maxFailures is how many wrong tokens a second are looked at, of all people together.
	maxFailures = 10
)

// access decides who may see the page.
type access struct {
	tokenFile string // "" = no token
	localOnly bool   // no proof is asked for: only loopback's names are answered

	mu       sync.Mutex
	current  string
	readAt   time.Time
	failures int
	second   int64 // that failures are of
}

func newAccess(c *Config) (*access, error) {
	a := &access{tokenFile: c.TokenFile, localOnly: !c.isProtected()}
	if a.tokenFile == "" {
		return a, nil
	}
	if _, err := a.token(); err != nil {
		return nil, err
	}
	return a, nil
}

// token is what the token file has, read anew now and then; "" without a file.
func (a *access) token() (string, error) {
	if a.tokenFile == "" {
		return "", nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != "" && time.Since(a.readAt) < tokenRereadEvery {
		return a.current, nil
	}
	token, err := readToken(a.tokenFile)
	switch {
	case err == nil:
		a.current = token
	case a.current == "":
		return "", err
	}
	a.readAt = time.Now() // while the file is being replaced the old token goes on
	return a.current, nil
}

func readToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minTokenBytes || len(text) > maxTokenBytes {
		return "", fmt.Errorf("read token_file %s: the token has %d bytes, must have %d to %d", name, len(token), minTokenBytes, maxTokenBytes)
	}
	return token, nil
}

var (
	errNoProof = errors.New("no token, or not the right one")
	errTooMany = errors.New("too many wrong tokens; try again in a second")
)

// check says whether a request may see the page.
func (a *access) check(r *http.Request) error {
	token, err := a.token()
	if err != nil {
		return err
	}
	if token == "" {
		return nil
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return a.compare(bearer, token)
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil || !validCookie(cookie.Value, token, time.Now()) {
		return errNoProof
	}
	return nil
}

// compare takes the same time for every wrong token, and few a second.
func (a *access) compare(given, token string) error {
	a.mu.Lock()
	if now := time.Now().Unix(); now != a.second {
		a.second, a.failures = now, 0
	}
	tooMany := a.failures >= maxFailures
	a.mu.Unlock()
	if tooMany {
		return errTooMany
	}
	x, y := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(x[:], y[:]) == 1 {
		return nil
	}
	a.mu.Lock()
	a.failures++
	a.mu.Unlock()
	return errNoProof
}

// A cookie is when it ends and a signature by the token: no replica keeps
// sessions, and a new token ends them all.

func newCookie(token string, secure bool, now time.Time) *http.Cookie {
	end := strconv.FormatInt(now.Add(cookieLife).Unix(), 10)
	return &http.Cookie{
		Name: cookieName, Value: end + "." + sign(end, token), Path: "/", MaxAge: int(cookieLife.Seconds()),
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}
}

func sign(end, token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("crowsnest status page until " + end))
	return hex.EncodeToString(mac.Sum(nil))
}

func validCookie(value, token string, now time.Time) bool {
	end, signature, ok := strings.Cut(value, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	return ok && err == nil && now.Unix() < seconds && hmac.Equal([]byte(signature), []byte(sign(end, token)))
}

// knownHost says whether a request is meant for this page. Without proof of who
// asks, another site's page could read this one through a name of its own that
// it lets point to 127.0.0.1.
func (a *access) knownHost(r *http.Request) bool {
	if !a.localOnly {
		return true
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return isLoopback(strings.Trim(host, "[]"))
}
