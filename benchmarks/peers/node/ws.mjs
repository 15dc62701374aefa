// A peer: npm ws, with a hand-written broadcast. It speaks just the messages the generator sends.
import { WebSocketServer } from "ws"

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
const topics = new Map()

server.on("connection", (socket) => {
  const joined = new Set()
  socket.on("message", (data) => {
    const [joinRef, ref, topic, event, body] = JSON.parse(data)
    if (event === "cast") {
      const message = JSON.stringify([null, null, topic, "cast", body])
      for (const subscriber of topics.get(topic) ?? []) subscriber.send(message)
      return
    }
    if (event === "phx_join") {
      if (!topics.has(topic)) topics.set(topic, new Set())
      topics.get(topic).add(socket)
      joined.add(topic)
    }
    const response = event === "echo" ? body : {}
    socket.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "ok", response }]))
  })
  socket.on("close", () => {
    for (const topic of joined) {
      const subscribers = topics.get(topic)
      subscribers.delete(socket)
      if (subscribers.size === 0) topics.delete(topic)
    }
  })
  socket.on("error", () => socket.terminate())
})

server.on("listening", () => {
  console.log(`ws listening on http://127.0.0.1:${server.address().port}`)
})
