// Pages that are opened from the disk may not start workers, and so could not be searched: there, a worker is the window
// of a hidden frame. Of a worker's interface it has what the theme's search uses: messages, and importScripts.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inner = frame.contentWindow
      inner.document.open()
      inner.document.write('<!doctype html><meta charset="utf-8"><body></body>')
      inner.importScripts = (...urls) =>
        urls.reduce(
          (before, each) =>
            before.then(
              () =>
                new Promise((resolve, reject) => {
                  const script = inner.document.createElement("script")
                  Object.assign(script, { src: each, onload: resolve, onerror: reject })
                  inner.document.body.appendChild(script)
                }),
            ),
          Promise.resolve(),
        )
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      this.ready = inner.importScripts(String(url))
      inner.document.close()
      this.postMessage = (data) => this.ready.then(() => inner.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
