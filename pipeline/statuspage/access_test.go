package statuspage

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestWithoutATokenOnlyLoopbacksNamesAreAnswered(t *testing.T) {
	_, address := startPage(t, nil)
	p := newPerson(t, address)
	for host, want := range map[string]int{
		address: http.StatusOK, "localhost:13080": http.StatusOK, "[::1]:13080": http.StatusOK, "127.0.0.1": http.StatusOK,
		"attacker.example:13080": http.StatusMisdirectedRequest, "localhost.attacker.example": http.StatusMisdirectedRequest, "10.0.0.1": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/", "/tail", "/api/v1/status"} {
			if got := p.get(path, "Host", host); got.StatusCode != want {
				t.Errorf("%s of host %s is %d, want %d", path, host, got.StatusCode, want)
			}
		}
	}
}

func TestNothingIsShownWithoutTheToken(t *testing.T) {
	_, address := startPage(t, func(c *Config) { c.TokenFile = writeToken(t, testToken) })
	p := newPerson(t, address)
	for _, path := range []string{"/", "/tail?namespace=x", "/api/v1/status", "/api/v1/tail", "/nonsense"} {
		for _, headers := range [][]string{
			nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Basic " + testToken}, {"Authorization", "Bearer "},
			{"Cookie", cookieName + "=99999999999.00"}, {"Cookie", cookieName + "="}, {"Cookie", cookieName + "=" + testToken},
		} {
			if got := p.get(path, headers...); got.StatusCode != http.StatusUnauthorized && got.StatusCode != http.StatusSeeOther && got.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%s with %q is %d: %s", path, headers, got.StatusCode, got.body)
			}
		}
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // wrong tokens are counted by the second
	if got := p.get("/api/v1/status", "Authorization", "Bearer "+testToken); got.StatusCode != http.StatusOK {
		t.Errorf("with the token the answer is %d: %s", got.StatusCode, got.body)
	}
}

func TestLogin(t *testing.T) {
	_, address := startPage(t, func(c *Config) { c.TokenFile = writeToken(t, testToken) })
	p := newPerson(t, address)
	if got := p.get("/tail?pod=a&text=%26"); got.Header.Get("Location") != "/login?to=%2Ftail%3Fpod%3Da%26text%3D%2526" {
		t.Errorf("sent to %s", got.Header.Get("Location"))
	}
	if got := p.post("/login", url.Values{"token": {"wrong"}, "to": {"/tail"}}); got.StatusCode != http.StatusUnauthorized || p.cookie != "" {
		t.Errorf("a wrong token gives %d and cookie %q", got.StatusCode, p.cookie)
	}
	if got := p.post("/login", url.Values{"token": {testToken}}, "Sec-Fetch-Site", "cross-site"); got.StatusCode != http.StatusForbidden {
		t.Errorf("another site may log in: %d", got.StatusCode)
	}
	got := p.post("/login", url.Values{"token": {testToken}, "to": {"/tail?pod=a"}})
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/tail?pod=a" {
		t.Fatalf("login gives %d to %q", got.StatusCode, got.Header.Get("Location"))
	}
	cookie := got.Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, testToken) {
		t.Errorf("the cookie has the token: %s", cookie)
	}
	if got := p.get("/"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "Log out") {
		t.Errorf("with the cookie the answer is %d", got.StatusCode)
	}
	p.post("/logout", nil)
	if got := p.get("/"); got.StatusCode != http.StatusSeeOther {
		t.Errorf("after logout the answer is %d", got.StatusCode)
	}
}

func TestLoginSendsNobodyElsewhere(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/tail?a=b": "/tail?a=b", "//attacker.example/": "/", "https://attacker.example/tail": "/", "/\\attacker.example": "/",
		"javascript:alert(1)": "/", "/logout": "/", "/tail#\r\nSet-Cookie: a=b": "/tail", "/tail?a\r\nb": "/", "": "/",
	} {
		if got := localPath(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
}

func TestCookieEndsWithItsTimeAndItsToken(t *testing.T) {
	now := time.Now()
	cookie := newCookie(testToken, true, now).Value
	if !validCookie(cookie, testToken, now) || !validCookie(cookie, testToken, now.Add(cookieLife-2*time.Second)) {
		t.Error("a fresh cookie is refused")
	}
	for name, valid := range map[string]bool{
		"expired":      validCookie(cookie, testToken, now.Add(cookieLife+time.Second)),
		"other token":  validCookie(cookie, testToken+"x", now),
		"longer life":  validCookie("9"+cookie, testToken, now),
		"no signature": validCookie(strings.Split(cookie, ".")[0]+".", testToken, now),
	} {
		if valid {
			t.Errorf("%s: the cookie is taken", name)
		}
	}
}

func TestGuessingIsSlow(t *testing.T) {
	a := &access{}
	tooMany := 0
	for range 10 * maxFailures {
		if a.compare("guess", testToken) == errTooMany {
			tooMany++
		}
	}
	if tooMany < 7*maxFailures { // of up to three seconds
		t.Errorf("of %d guesses only %d were put off", 10*maxFailures, tooMany)
	}
}

func TestTokenFile(t *testing.T) {
	for name, text := range map[string]string{"short": "secret", "empty": "", "long": strings.Repeat("x", maxTokenBytes+1)} {
		if _, err := newAccess(&Config{TokenFile: writeToken(t, text)}); err == nil || !strings.Contains(err.Error(), "token_file") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := newAccess(&Config{TokenFile: "/nonexistent/token"}); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: error %v", err)
	}
	file := writeToken(t, testToken)
	a, err := newAccess(&Config{TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("another, newer token"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.readAt = time.Now().Add(-2 * tokenRereadEvery)
	if token, err := a.token(); err != nil || token != "another, newer token" {
		t.Errorf("after a change the token is %q (%v)", token, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	a.readAt = time.Now().Add(-2 * tokenRereadEvery)
	if token, err := a.token(); err != nil || token != "another, newer token" {
		t.Errorf("while the file is away the token is %q (%v)", token, err)
	}
}

func TestEveryAnswerForbidsWhatIsNotThePage(t *testing.T) {
	_, address := startPage(t, func(c *Config) { c.TokenFile = writeToken(t, testToken) })
	p := newPerson(t, address)
	for _, path := range []string{"/", "/login", "/icon.svg", "/api/v1/status", "/nonsense"} {
		h := p.get(path).Header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: policy %q", path, h.Get("Content-Security-Policy"))
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
}
