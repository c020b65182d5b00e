//! Winsock Kernel as a well-behaved driver uses it: what the cases of [`wsk`](crate::wsk) have in common.

use core::ptr::null_mut;

use crate::nt::*;

/// WSK_CLIENT_DISPATCH.
#[repr(C)]
pub struct ClientDispatch {
    /// 1.0.
    pub version: u16,
    /// Zero.
    pub reserved: u16,
    /// None.
    pub event: usize,
}

/// That of every case but one.
pub static DISPATCH: ClientDispatch = ClientDispatch { version: 0x100, reserved: 0, event: 0 };

/// WSK_CLIENT_NPI.
#[repr(C)]
pub struct Client {
    context: Pvoid,
    dispatch: *const ClientDispatch,
}

/// WSK_PROVIDER_NPI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Provider {
    /// Client.
    pub client: Pvoid,
    /// Dispatch.
    pub dispatch: *const ProviderDispatch,
}

impl Provider {
    /// Not captured.
    pub const NONE: Self = Self { client: null_mut(), dispatch: core::ptr::null() };
}

/// WSK_PROVIDER_DISPATCH.
#[repr(C)]
pub struct ProviderDispatch {
    version: u64,
    /// WskSocket.
    pub socket: unsafe extern "system" fn(
        Pvoid,
        u16,
        u16,
        u32,
        u32,
        Pvoid,
        Pvoid,
        Pvoid,
        Pvoid,
        Pvoid,
        *mut Irp,
    ) -> NtStatus,
    others: [usize; 3],
    /// WskFreeAddressInfo.
    pub free_address_info: unsafe extern "system" fn(Pvoid, Pvoid),
}

/// WSK_SOCKET.
#[repr(C)]
pub struct Socket {
    dispatch: *const SocketDispatch,
}

/// WSK_PROVIDER_DATAGRAM_DISPATCH.
#[repr(C)]
pub struct SocketDispatch {
    /// WskControlSocket.
    pub control: unsafe extern "system" fn(
        *mut Socket,
        u32,
        u32,
        u32,
        usize,
        Pvoid,
        usize,
        Pvoid,
        *mut usize,
        *mut Irp,
    ) -> NtStatus,
    close: unsafe extern "system" fn(*mut Socket, *mut Irp) -> NtStatus,
    /// WskBind.
    pub bind: unsafe extern "system" fn(*mut Socket, *const Address, u32, *mut Irp) -> NtStatus,
    send_to: unsafe extern "system" fn(
        *mut Socket,
        *const Buffer,
        u32,
        *const Address,
        u32,
        Pvoid,
        *mut Irp,
    ) -> NtStatus,
    receive: usize,
    /// WskRelease.
    pub release: unsafe extern "system" fn(*mut Socket, Pvoid) -> NtStatus,
}

/// WSK_BUF.
#[repr(C)]
struct Buffer {
    list: *mut Mdl,
    offset: u32,
    length: usize,
}

/// SOCKADDR_IN.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Address {
    /// AF_INET.
    pub family: u16,
    /// In network byte order.
    pub port: [u8; 2],
    /// In network byte order.
    pub address: [u8; 4],
    /// Zero.
    pub zero: [u8; 8],
}

/// SOCKADDR_IN6.
#[repr(C)]
pub struct AddressV6 {
    /// AF_INET6.
    pub family: u16,
    /// In network byte order.
    pub port: [u8; 2],
    /// Zero.
    pub flow: u32,
    /// In network byte order.
    pub address: [u8; 16],
    /// The index of an interface, or zero.
    pub scope: u32,
}

/// AF_INET.
pub const V4: u16 = 2;
/// AF_INET6.
pub const V6: u16 = 23;

/// `[::]`, any port.
pub static ANY_V6: AddressV6 = AddressV6 { family: V6, port: [0; 2], flow: 0, address: [0; 16], scope: 0 };
/// 0.0.0.0, any port.
pub static ANY: Address = Address { family: 2, port: [0; 2], address: [0; 4], zero: [0; 8] };
/// 239.255.77.77, port 4010.
pub static GROUP: Address =
    Address { family: 2, port: [0x0F, 0xAA], address: [239, 255, 77, 77], zero: [0; 8] };

#[allow(missing_docs, reason = "each is the function of its name")]
#[link(name = "netio.sys", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    pub fn WskCaptureProviderNPI(registration: Pvoid, timeout: u32, provider: *mut Provider) -> NtStatus;
    pub fn WskDeregister(registration: Pvoid);
    pub fn WskRegister(client: *const Client, registration: Pvoid) -> NtStatus;
    pub fn WskReleaseProviderNPI(registration: Pvoid);
}

/// The driver's WSK_REGISTRATION.
pub fn registration() -> Pvoid {
    slot(6)
}

/// A WSK_CLIENT_NPI with this table.
pub fn client(dispatch: *const ClientDispatch) -> *const Client {
    let client = slot::<Client>(5);
    // SAFETY: memory for the structure.
    unsafe { client.write(Client { context: null_mut(), dispatch }) };
    client
}

/// Registers.
///
/// # Safety
/// As WskRegister.
pub unsafe fn register() {
    WskRegister(client(&DISPATCH), registration());
}

/// Registers, and captures the provider.
///
/// # Safety
/// As WskRegister.
pub unsafe fn capture() -> Provider {
    register();
    let mut provider = Provider::NONE;
    WskCaptureProviderNPI(registration(), u32::MAX, &mut provider);
    provider
}

unsafe extern "system" fn completed(_device: *mut DeviceObject, _irp: *mut Irp, event: Pvoid) -> NtStatus {
    KeSetEvent(event, 0, 0);
    MORE_PROCESSING
}

/// A request whose completion sets `slot(7)`.
///
/// # Safety
/// One at a time.
pub unsafe fn request() -> *mut Irp {
    KeInitializeEvent(slot(7), 0, 0);
    let irp = IoAllocateIrp(1, 0);
    let location = (*irp).location.sub(1);
    (*location).control = ON_ALL;
    (*location).routine = Some(completed);
    (*location).context = slot(7);
    irp
}

/// Makes a call, waits for its completion, and gives its information.
///
/// # Safety
/// As the call.
pub unsafe fn wait_for(call: impl FnOnce(*mut Irp) -> NtStatus) -> usize {
    let irp = request();
    call(irp);
    KeWaitForSingleObject(slot(7), 0, 0, 0, core::ptr::null());
    let information = (*irp).information;
    IoFreeIrp(irp);
    information
}

/// A registration, a captured provider and a socket.
pub struct Net {
    /// The provider.
    pub provider: Provider,
    /// The socket.
    pub socket: *mut Socket,
}

impl Net {
    /// Makes a socket, and binds it if that is asked for.
    ///
    /// # Safety
    /// As WskSocket.
    pub unsafe fn open(bound: bool) -> Self {
        let net = Self::open_of(V4);
        if bound {
            net.bind(&ANY, 0);
        }
        net
    }

    /// Makes a socket of a family.
    ///
    /// # Safety
    /// As WskSocket.
    pub unsafe fn open_of(family: u16) -> Self {
        let provider = capture();
        let none = null_mut();
        let socket = wait_for(|irp| {
            // SAFETY: a captured provider.
            unsafe {
                let make = (*provider.dispatch).socket;
                make(provider.client, family, 2, 17, 4, none, none, none, none, none, irp)
            }
        });
        Self { provider, socket: core::ptr::with_exposed_provenance_mut(socket) }
    }

    /// The socket's functions.
    ///
    /// # Safety
    /// The socket is open.
    pub unsafe fn functions(&self) -> *const SocketDispatch {
        (*self.socket).dispatch
    }

    /// Binds the socket.
    ///
    /// # Safety
    /// As WskBind.
    pub unsafe fn bind(&self, address: *const Address, flags: u32) {
        let bind = (*self.functions()).bind;
        // SAFETY: as the caller says.
        wait_for(|irp| unsafe { bind(self.socket, address, flags, irp) });
    }

    /// Begins to send 64 bytes.
    ///
    /// # Safety
    /// As WskSendTo.
    pub unsafe fn send_later(&self) -> Send {
        self.send_with(64, 0, 0, false)
    }

    /// Begins to send from a buffer of 64 bytes.
    ///
    /// # Safety
    /// As WskSendTo.
    pub unsafe fn send_with(&self, bytes: usize, flags: u32, control: u32, without: bool) -> Send {
        let buffer = block::<u8>(64);
        let list = IoAllocateMdl(buffer.cast(), 64, 0, 0, null_mut());
        MmBuildMdlForNonPagedPool(list);
        let description = Buffer { list, offset: 0, length: bytes };
        let irp = request();
        let description = if without { core::ptr::null() } else { &raw const description };
        let send = (*self.functions()).send_to;
        send(self.socket, description, flags, &GROUP, control, null_mut(), irp);
        Send { buffer, list, irp }
    }

    /// Begins to send 32 bytes that a list describes.
    ///
    /// # Safety
    /// As WskSendTo.
    pub unsafe fn send_list(&self, list: *mut Mdl, offset: u32) -> SendOfList {
        self.send_list_to(list, offset, &GROUP)
    }

    /// The same, to any address.
    ///
    /// # Safety
    /// As WskSendTo.
    pub unsafe fn send_list_to(&self, list: *mut Mdl, offset: u32, to: *const Address) -> SendOfList {
        let description = Buffer { list, offset, length: 32 };
        let irp = request();
        let send = (*self.functions()).send_to;
        send(self.socket, &description, 0, to, 0, null_mut(), irp);
        SendOfList { list, irp }
    }

    /// Closes the socket.
    ///
    /// # Safety
    /// It is open.
    pub unsafe fn close_socket(&self) {
        let close = (*self.functions()).close;
        let irp = IoAllocateIrp(1, 0);
        let location = (*irp).location.sub(1);
        let event = slot(4);
        KeInitializeEvent(event, 0, 0);
        (*location).control = ON_ALL;
        (*location).routine = Some(completed);
        (*location).context = event;
        close(self.socket, irp);
        KeWaitForSingleObject(event, 0, 0, 0, core::ptr::null());
        IoFreeIrp(irp);
    }

    /// Releases the provider and deregisters.
    ///
    /// # Safety
    /// The socket is closed.
    pub unsafe fn close_client(&self) -> NtStatus {
        WskReleaseProviderNPI(registration());
        WskDeregister(registration());
        SUCCESS
    }

    /// All of it.
    ///
    /// # Safety
    /// The socket is open.
    pub unsafe fn close(&self) -> NtStatus {
        self.close_socket();
        self.close_client()
    }
}

/// A send under way, of a list that the case has made.
pub struct SendOfList {
    list: *mut Mdl,
    /// The request.
    pub irp: *mut Irp,
}

impl SendOfList {
    /// Waits for the completion.
    ///
    /// # Safety
    /// Nothing of it was freed.
    pub unsafe fn wait(&self) {
        KeWaitForSingleObject(slot(7), 0, 0, 0, core::ptr::null());
    }

    /// Waits, and frees the list and the request.
    ///
    /// # Safety
    /// Nothing of it was freed.
    pub unsafe fn finish(&self) {
        self.wait();
        IoFreeIrp(self.irp);
        IoFreeMdl(self.list);
    }
}

/// A send under way.
pub struct Send {
    /// What is sent.
    pub buffer: *mut u8,
    /// Its list.
    pub list: *mut Mdl,
    /// The request.
    pub irp: *mut Irp,
}

impl Send {
    /// Waits for the completion.
    ///
    /// # Safety
    /// Nothing of it was freed.
    pub unsafe fn wait(&self) {
        KeWaitForSingleObject(slot(7), 0, 0, 0, core::ptr::null());
    }

    /// Waits, and frees all but the buffer.
    ///
    /// # Safety
    /// Nothing else of it was freed.
    pub unsafe fn finish_but_for_buffer(&self) {
        self.wait();
        IoFreeIrp(self.irp);
        IoFreeMdl(self.list);
    }

    /// Waits, and frees everything.
    ///
    /// # Safety
    /// Nothing of it was freed.
    pub unsafe fn finish(&self) {
        self.finish_but_for_buffer();
        ExFreePool(self.buffer.cast());
    }
}
