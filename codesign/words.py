"""Words that a project, or a name in it, must not be called: those of the languages, and files of the makers' own."""

from collections.abc import Collection

from codesign.errors import InputError
from codesign.hdl.interface import HdlName

_CPP = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
requires return short signed sizeof static static_assert static_cast struct switch template this thread_local throw
true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
#: Keywords and alternative operators of C++17 ([lex.key]), and what C++20 adds, which g++ warns of.
CPP_KEYWORDS = frozenset(_CPP.split())
#: Names beside them that an hls4ml project has already: namespaces, the program, and macros of its headers.
CPP_WORDS = CPP_KEYWORDS | {"EOF", "NULL", "assert", "errno", "main", "nnet", "stderr", "stdin", "stdout", "std"}
#: Files that hls4ml writes beside those named after the project.
HLS4ML_FILES = frozenset({"defines", "parameters"})
#: And an emulator, beside those named after it.
EMULATOR_FILES = frozenset({"emulator", "host"})

_VERILOG = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
inside instance int integer interconnect interface intersect join join_any join_none large let liblist library
local localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1
tri tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
#: Keywords of SystemVerilog (IEEE 1800-2017, annex B), which those of Verilog are among.
VERILOG_KEYWORDS = frozenset(_VERILOG.split())
_VHDL = """
abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body buffer bus
case component configuration constant context cover default disconnect downto else elsif end entity exit fairness file
for force function generate generic group guarded if impure in inertial inout is label library linkage literal loop map
mod nand new next nor not null of on open or others out package parameter port postponed procedure process property
protected pure range record register reject release rem report restrict restrict_guarantee return rol ror select
sequence severity shared signal sla sll sra srl strong subtype then to transport type unaffected units until use
variable vmode vprop vunit wait when while with xnor xor
"""
#: Keywords of VHDL (IEEE 1076-2008, 15.10), and the libraries that every design sees.
VHDL_KEYWORDS = frozenset(_VHDL.split()) | {
    "ieee",
    "std",
    "work",
    "std_logic",
    "std_logic_vector",
    "std_logic_1164",
    "rising_edge",
}
#: Modules that alkaid brings.
ALKAID_MODULES = frozenset({"binop", "multiplier", "mux", "negative", "shift_adder", "ternary_adder"})


def require_c_name(where: str, name: str, files: Collection[str] = ()) -> None:
    """Refuse a name that C++ has no place for.

    Args:
        where: The option, for messages.
        name: Of a project.
        files: Names of files that the project has already.

    Raises:
        InputError: With what may be called so.
    """
    _require(where, name, "a C identifier", name in CPP_WORDS or name in files)


def require_hdl_name(where: str, name: str, language: HdlName) -> None:
    """The same of a project of alkaid's, in the language that it is written in.

    Raises:
        InputError: With what may be called so.
    """
    if language == "verilog":
        _require(where, name, "a Verilog identifier", name in VERILOG_KEYWORDS | ALKAID_MODULES)
        return
    wanted = "a VHDL identifier"
    if name.startswith("_") or name.endswith("_") or "__" in name:
        raise InputError(where, repr(name), f"{wanted}, with single underscores between other characters")
    _require(where, name, wanted, name.lower() in VHDL_KEYWORDS | ALKAID_MODULES)


def _require(where: str, name: str, wanted: str, taken: bool) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise InputError(where, repr(name), wanted)
    if taken:
        found = f"{name!r}, a word of the language or a name that the project has already"
        raise InputError(where, found, f"{wanted} of its own, such as {f'my_{name}'!r}")
