// Draws the page. Everything that a person wrote goes through textContent.

const MOST_LINES = 400;
const TYPING_MS = 3000;
const SAME_BREATH_MS = 120_000;

const ADJECTIVES = ["Amber", "Brisk", "Copper", "Dusky", "Gentle", "Lucky", "Mellow", "Quiet", "Sunny", "Velvet"];
const ANIMALS = ["Badger", "Finch", "Fox", "Heron", "Lynx", "Marten", "Otter", "Owl", "Robin", "Wren"];

const $ = id => document.getElementById(id);
const any = list => list[Math.floor(Math.random() * list.length)];

/** Creates an element with properties and children. */
function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Returns a hue that is always the same for a name. */
function hue(name) {
  let sum = 7;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

function paint(element, name) {
  const initials = name.split(/\s+/).map(word => [...word][0]).slice(0, 2).join("");
  element.textContent = initials.toUpperCase();
  element.style.setProperty("--hue", hue(name));
  return element;
}

const clock = at => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

const count = people => (people === 1 ? "only you" : `${people} people`);

export class View {
  #rooms = new Map();
  #offers = [];
  #active;
  #me;
  #unseen = 0;
  #do;

  /** Sets the actions that the page's forms and buttons call. */
  on(actions) {
    this.#do = actions;
    const submit = (form, then) => $(form).addEventListener("submit", event => {
      event.preventDefault();
      then(event.target.elements);
    });
    submit("door", ({ name }) => actions.enter(name.value));
    submit("say", ({ body }) => actions.say(body.value));
    submit("open", ({ room }) => {
      const name = room.value.trim().toLowerCase().replaceAll(/[\s#]+/g, "-");
      room.value = "";
      if (name) actions.show(name);
    });
    $("body").addEventListener("input", () => {
      this.problem("");
      if ($("body").value) actions.type();
    });
    document.addEventListener("visibilitychange", () => {
      this.#unseen = 0;
      this.#showTitle();
    });
  }

  askName() {
    $("name").value = `${any(ADJECTIVES)} ${any(ANIMALS)}`;
    $("name").select();
  }

  enter(me) {
    this.#me = me;
    $("door").hidden = true;
    $("chat").hidden = false;
    $("my-name").textContent = me;
    paint($("my-face"), me);
  }

  status(state) {
    $("status").textContent = state === "online" ? "online" : "reconnecting…";
    $("status").className = `status ${state}`;
  }

  /** Lists a room that is not joined yet. */
  offer(name) {
    this.#offers.push(name);
    this.#listRooms();
  }

  open(name) {
    const list = el("ol", { className: "log", hidden: true });
    list.setAttribute("role", "log");
    list.setAttribute("aria-label", `Messages in ${name}`);
    this.#rooms.set(name, { list, people: 0, unread: 0, typers: new Map(), last: null });
    list.append(el("li", { className: "quiet" },
      el("b", { textContent: "It is quiet here." }),
      el("span", {}, "Open ", el("a", { href: `/#${name}`, target: "_blank", rel: "noopener", textContent: "a second window" }), " and say hello to yourself.")));
    $("logs").append(list);
    this.#listRooms();
  }

  close(name) {
    this.#rooms.get(name)?.list.remove();
    this.#rooms.delete(name);
    this.#listRooms();
  }

  show(name) {
    this.#active = name;
    this.#rooms.forEach((room, other) => { room.list.hidden = other !== name; });
    this.#rooms.get(name).unread = 0;
    $("title").textContent = `#${name}`;
    this.#showTitle();
    this.problem("");
    this.#listRooms();
    this.#showPeople();
    this.#showTypers();
    this.#toEnd(name);
    $("body").focus();
  }

  message(name, { from, body, at, mine }) {
    const room = this.#rooms.get(name);
    const goesOn = room.last?.from === from && at - room.last.at < SAME_BREATH_MS;
    room.last = { from, at };
    room.list.querySelector(".quiet")?.remove();
    const line = el("li", { className: `message${mine ? " mine" : ""}${goesOn ? " goes-on" : ""}` });
    if (!mine) line.append(paint(el("span", { className: "face" }), from));
    const head = el("div", { className: "head" }, el("b", { textContent: mine ? "You" : from }), el("time", { textContent: clock(at) }));
    if (!mine) head.append(this.#muteButton(from));
    line.append(el("div", { className: "said" }, head, el("p", { textContent: body })));
    this.#add(name, line);
    room.typers.delete(from);
    this.#showTypers();
    if (name !== this.#active) {
      room.unread += 1;
      this.#listRooms();
    }
    if (document.hidden) {
      this.#unseen += 1;
      this.#showTitle();
    }
  }

  notice(name, text) {
    this.#rooms.get(name).last = null;
    this.#add(name, el("li", { className: "notice", textContent: text }));
  }

  arrived(name, who, people) {
    this.#count(name, people);
    if (who !== this.#me) this.notice(name, `${who} joined`);
  }

  gone(name, who, people) {
    this.#count(name, people);
    this.#rooms.get(name).typers.delete(who);
    this.#showTypers();
    this.notice(name, `${who} left`);
  }

  typing(name, who) {
    const { typers } = this.#rooms.get(name);
    const until = Date.now() + TYPING_MS;
    typers.set(who, until);
    this.#showTypers();
    setTimeout(() => {
      if (typers.get(who) === until) typers.delete(who);
      this.#showTypers();
    }, TYPING_MS);
  }

  /** Clears the input after its message has arrived, unless the text has changed since. */
  said(body) {
    if ($("body").value === body) $("body").value = "";
    this.problem("");
  }

  problem(text) {
    $("problem").hidden = !text;
    $("problem").textContent = text && text[0].toUpperCase() + text.slice(1);
  }

  muted(names) {
    $("muted").replaceChildren(...[...names].map(name => el("button", {
      type: "button",
      title: `Hear ${name} again`,
      textContent: `${name} is muted ×`,
      onclick: () => this.#do.mute(name, false),
    })));
  }

  #muteButton(name) {
    return el("button", {
      type: "button",
      className: "mute",
      title: `See no more messages of ${name}`,
      textContent: "mute",
      onclick: () => this.#do.mute(name, true),
    });
  }

  #count(name, people) {
    this.#rooms.get(name).people = people;
    this.#showPeople();
  }

  /** Shows the number of unseen messages in the title of the tab. */
  #showTitle() {
    const unseen = this.#unseen ? `(${this.#unseen}) ` : "";
    document.title = this.#active ? `${unseen}#${this.#active} · Campfire` : "Campfire";
  }

  #showPeople() {
    const { people } = this.#rooms.get(this.#active) ?? {};
    $("people").textContent = people ? count(people) : "";
  }

  #showTypers() {
    const names = [...(this.#rooms.get(this.#active)?.typers.keys() ?? [])];
    const text = names.length > 2 ? "Several people are typing" : `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing`;
    $("typing").replaceChildren(...(names.length ? [el("i"), el("i"), el("i"), text] : []));
  }

  #listRooms() {
    const names = new Set([...this.#offers, ...this.#rooms.keys()]);
    $("rooms").replaceChildren(...[...names].map(name => this.#roomButton(name)));
  }

  #roomButton(name) {
    const room = this.#rooms.get(name);
    const current = name === this.#active;
    const button = el("button", {
      type: "button",
      className: room ? "joined" : "",
      onclick: () => this.#do.show(name),
    }, el("span", { textContent: `#${name}` }));
    if (current) button.setAttribute("aria-current", "page");
    if (room?.unread) button.append(el("em", { textContent: room.unread, title: "new messages" }));
    const entry = el("div", {}, button);
    if (room && this.#rooms.size > 1) {
      entry.append(el("button", { type: "button", className: "leave", title: `Leave #${name}`, textContent: "×", onclick: () => this.#do.leave(name) }));
    }
    return entry;
  }

  #add(name, line) {
    const { list } = this.#rooms.get(name);
    const logs = $("logs");
    const atEnd = logs.scrollHeight - logs.scrollTop - logs.clientHeight < 80;
    list.append(line);
    while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
    if (atEnd || line.classList.contains("mine")) this.#toEnd(name);
  }

  #toEnd(name) {
    if (name === this.#active) $("logs").scrollTop = $("logs").scrollHeight;
  }
}
