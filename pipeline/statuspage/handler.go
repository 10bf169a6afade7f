package statuspage

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
)

// handler is all of the page. What needs no proof is the login and the icon.
func (p *Page) handler() http.Handler {
	private := http.NewServeMux()
	private.HandleFunc("GET /{$}", p.serveOverview)
	private.HandleFunc("GET /tail", p.serveTailPage)
	private.HandleFunc("GET /api/v1/status", p.serveStatus)
	private.HandleFunc("GET /api/v1/tail", p.serveTail)

	public := http.NewServeMux()
	public.HandleFunc("GET /login", p.serveLogin)
	public.HandleFunc("POST /login", p.login)
	public.HandleFunc("POST /logout", p.logout)
	public.HandleFunc("GET /icon.svg", serveIcon)
	public.Handle("/", p.guarded(private))
	return p.secured(http.NewCrossOriginProtection().Handler(public))
}

// secured sets the headers that every answer has.
func (p *Page) secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !p.access.knownHost(r) {
			http.Error(w, "This page answers to localhost only, unless token_file or a client CA is set.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// guarded lets in who has proof; people in a browser get the login form.
func (p *Page) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := p.access.check(r)
		switch {
		case err == nil:
			next.ServeHTTP(w, r)
		case errors.Is(err, errTooMany):
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusTooManyRequests)
		case !errors.Is(err, errNoProof):
			p.set.Logger.Error("nobody can see the status page", zap.Error(err))
			http.Error(w, "the token cannot be read", http.StatusInternalServerError)
		case strings.HasPrefix(r.URL.Path, "/api/") || r.Header.Get("Authorization") != "":
			w.Header().Set("WWW-Authenticate", `Bearer realm="crowsnest status"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
		default:
			http.Redirect(w, r, "/login?"+url.Values{"to": {localPath(r.URL.RequestURI())}}.Encode(), http.StatusSeeOther)
		}
	})
}

// localPath is the path if it is one of this page's, else "/".
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || len(path) > 2048 || u.Path != "/" && u.Path != "/tail" {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

func (p *Page) serveLogin(w http.ResponseWriter, r *http.Request) {
	if p.config.TokenFile == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	p.render(w, http.StatusOK, "login", loginView{To: localPath(r.URL.Query().Get("to"))})
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 2*maxTokenBytes)
	view := loginView{To: localPath(r.PostFormValue("to"))}
	token, err := p.access.token()
	if err == nil && token != "" {
		err = p.access.compare(strings.TrimSpace(r.PostFormValue("token")), token)
	}
	switch {
	case err == nil:
		if token != "" {
			http.SetCookie(w, newCookie(token, r.TLS != nil, time.Now()))
		}
		http.Redirect(w, r, view.To, http.StatusSeeOther)
	case errors.Is(err, errTooMany):
		view.Error = "Too many wrong tokens. Try again in a second."
		p.render(w, http.StatusTooManyRequests, "login", view)
	default:
		view.Error = "That is not the token."
		p.render(w, http.StatusUnauthorized, "login", view)
	}
}

func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (p *Page) serveStatus(w http.ResponseWriter, r *http.Request) {
	var s Status
	if r.URL.Query().Get("scope") == "replica" {
		s = p.local(time.Now())
		s.Partial = true
		s.derive(s.Time)
	} else {
		s = p.status(r.Context())
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		p.set.Logger.Debug("status was not sent", zap.Error(err))
	}
}
