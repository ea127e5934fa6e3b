//! Messages over a TCP connection, sent and received beside the computing.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread,
};

use super::AnyError;

/// Messages that wait for the line before the sender has to.
const QUEUE: usize = 32;
/// Longest message.
const LONGEST: usize = 1 << 30;

/// One end of a connection. Each message is its length in four bytes and its content.
#[derive(Debug)]
pub(crate) struct Channel {
    outgoing: SyncSender<Vec<u8>>,
    incoming: Receiver<io::Result<Vec<u8>>>,
}

impl Channel {
    /// Takes over a connection. The thread that writes ends it when the channel is dropped.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = (stream.try_clone()?, stream);
        let (outgoing, to_send) = sync_channel::<Vec<u8>>(QUEUE);
        // What has arrived is always taken off the line, so that two senders never wait for each other.
        let (arrived, incoming) = channel();
        thread::spawn(move || {
            for message in to_send {
                if write_message(&mut writer, &message).is_err() {
                    break;
                }
            }
            // The other end may have gone already.
            let _ = writer.shutdown(Shutdown::Write);
        });
        thread::spawn(move || {
            loop {
                let message = read_message(&mut reader);
                let ended = message.is_err();
                if arrived.send(message).is_err() || ended {
                    break;
                }
            }
        });
        Ok(Self { outgoing, incoming })
    }

    /// Hands a message to the line; waits while too many are on it.
    pub(crate) fn send(&self, message: Vec<u8>) -> Result<(), AnyError> {
        self.outgoing.send(message).map_err(|_| "the connection has ended".into())
    }

    /// The next message.
    pub(crate) fn receive(&self) -> Result<Vec<u8>, AnyError> {
        Ok(self.incoming.recv()??)
    }
}

fn write_message(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(message)
}

fn read_message(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message)?;
    Ok(message)
}
