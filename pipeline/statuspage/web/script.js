"use strict";
// Text from outside is only ever set as text, never as markup.
(() => {
  const main = document.querySelector("main[data-refresh]");
  if (main) refresh(main);
  const lines = document.querySelector("[data-tail]");
  if (lines) tail(lines);

  // refresh replaces the page's content every 5 seconds, while it is looked at.
  function refresh(main) {
    setInterval(async () => {
      const busy = main.contains(document.activeElement) && document.activeElement.matches("input");
      if (document.hidden || busy || String(getSelection())) return;
      try {
        const answer = await fetch(location.href, {redirect: "manual"});
        if (answer.type === "opaqueredirect") { location.reload(); return; }
        if (!answer.ok) throw new Error("HTTP " + answer.status);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const open = new Set([...main.querySelectorAll("details[open]")].map(d => d.id));
        const scrolled = [...main.querySelectorAll(".scroll")].map(s => s.scrollLeft);
        main.replaceChildren(...document.adoptNode(page.querySelector("main")).childNodes);
        main.querySelectorAll("details").forEach(d => { d.open = open.has(d.id); });
        main.querySelectorAll(".scroll").forEach((s, i) => { s.scrollLeft = scrolled[i] || 0; });
        document.title = page.title;
        main.removeAttribute("data-stale");
      } catch (e) {
        main.setAttribute("data-stale", "");
        document.title = "(no answer) Status · Crowsnest";
      }
    }, 5000);
  }

  function tail(list) {
    const most = 2000;
    const connection = document.getElementById("connection"), counts = document.getElementById("counts");
    const pause = document.getElementById("pause");
    let shown = 0, lost = 0, paused = false, held = [];
    const say = (state, text) => { connection.className = "state " + state; connection.textContent = text; };
    const count = () => {
      counts.textContent = shown.toLocaleString("en") + " lines" + (lost ? ", " + lost.toLocaleString("en") + " lost: they came faster than this page takes them" : "") + (held.length ? ", " + held.length + " held back" : "");
    };
    const add = (parent, name, className, text) => {
      const e = document.createElement(name);
      e.className = className;
      e.textContent = text;
      parent.append(e);
      return e;
    };
    const mark = n => { lost += n; return add(document.createElement("li"), "span", "", n.toLocaleString("en") + " lines are not shown").parentNode; };
    const offer = (id, value) => {
      const options = document.getElementById(id);
      if (value && options.children.length < 200 && ![...options.children].some(o => o.value === value)) add(options, "option", "", "").value = value;
    };
    function item(line) {
      const li = document.createElement("li");
      const time = add(li, "time", "", line.time.slice(11, 23).padEnd(12, "0"));
      time.dateTime = line.time;
      add(li, "span", "level " + (line.severity || ""), line.severity || "");
      const from = add(li, "a", "from", [line.pod, line.container].filter(Boolean).join("/"));
      from.title = from.textContent + " of namespace " + (line.namespace || "");
      from.href = "/tail?" + new URLSearchParams({namespace: line.namespace || "", pod: line.pod || ""});
      add(li, "span", "body", line.body);
      offer("namespaces", line.namespace);
      offer("pods", line.pod);
      return li;
    }
    function show(batch) {
      const following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      const items = document.createDocumentFragment();
      for (const line of batch) {
        if (line.lost) { const li = mark(line.lost); li.className = "lost"; items.append(li); }
        if (line.body !== undefined) { items.append(item(line)); shown++; }
      }
      list.append(items);
      while (list.children.length > most) list.firstChild.remove();
      if (following) list.scrollTop = list.scrollHeight;
      count();
    }
    function take(batch) {
      if (!paused) return show(batch);
      held.push(...batch);
      const over = held.length - most;
      if (over > 0) { held.splice(0, over); held[0] = {...held[0], lost: (held[0].lost || 0) + over}; }
      count();
    }
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", paused);
      pause.textContent = paused ? "Go on" : "Pause";
      if (!paused) { const batch = held; held = []; show(batch); }
    });
    document.getElementById("clear").addEventListener("click", () => { list.replaceChildren(); held = []; shown = lost = 0; count(); });
    const events = new EventSource("/api/v1/tail" + location.search);
    events.addEventListener("open", () => say("ok", "connected"));
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) say("failing", "refused: too many people tail, or the login has ended; reload the page");
      else say("waiting", "connecting again");
    });
    events.addEventListener("lines", e => take(JSON.parse(e.data)));
    events.addEventListener("lost", e => take([{lost: Number(e.data)}]));
    events.addEventListener("state", e => {
      if (JSON.parse(e.data).repeating) say("waiting", "connected; Loki refuses lines, so they come again");
      else say("ok", "connected");
    });
  }
})();
