// A peer: npm socket.io, as its documentation shows it.
import { createServer } from "node:http"
import { Server } from "socket.io"

const server = createServer()
const io = new Server(server)

io.on("connection", (socket) => {
  socket.on("join", (room, answer) => {
    socket.join(room)
    answer()
  })
  socket.on("cast", (room, cast) => io.to(room).emit("cast", cast))
  socket.on("echo", (value, answer) => answer(value))
})

server.listen(0, "127.0.0.1", () => {
  console.log(`socket.io listening on http://127.0.0.1:${server.address().port}`)
})
