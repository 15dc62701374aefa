// Implements XMLHttpRequest as far as old clients use it to poll; Node.js has none.

const running = new Set();

class Request {
  readyState = 0;
  status = 0;
  responseText = "";
  timeout = 0;
  #headers = {};
  #aborted = new AbortController();

  open(method, url) {
    Object.assign(this, { method, url });
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  send(body) {
    running.add(this);
    this.#fetch(body).catch(error => {
      if (error.name === "TimeoutError") this.ontimeout?.();
      else if (!this.#aborted.signal.aborted) this.onerror?.(error);
    }).finally(() => running.delete(this));
  }

  async #fetch(body) {
    const signals = [this.#aborted.signal];
    if (this.timeout) signals.push(AbortSignal.timeout(this.timeout));
    const response = await fetch(this.url, {
      method: this.method,
      headers: this.#headers,
      body: body ?? undefined,
      signal: AbortSignal.any(signals),
    });
    this.responseText = await response.text();
    this.status = response.status;
    this.readyState = 4;
    this.onreadystatechange?.();
    this.onload?.();
  }

  abort() {
    this.#aborted.abort();
  }
}

/** Ends all requests, like a page that is closed: old clients leave theirs running. */
export function abortAll() {
  running.forEach(request => request.abort());
}

/** Makes Node.js look like a browser to clients that are imported from now on. */
export function install() {
  Object.assign(globalThis, { self: globalThis, window: globalThis, XMLHttpRequest: Request });
}
