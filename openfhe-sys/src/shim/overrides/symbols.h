// The functions of OpenFHE 1.4.2 that the program overrides, by their names in its shared libraries.
#pragma once

namespace openfhe_shim {
namespace symbols {

constexpr char CREATE_RANDOMNESS[] = "createEngineInstance";
constexpr char NTT_FORWARD[] =
    "_ZN6intnat27NumberTheoreticTransformNatINS_13NativeVectorTINS_14NativeIntegerTImEEEEE35ForwardTransformToBit"
    "ReverseInPlaceERKS4_S7_PS4_";
constexpr char NTT_INVERSE[] =
    "_ZN6intnat27NumberTheoreticTransformNatINS_13NativeVectorTINS_14NativeIntegerTImEEEEE37InverseTransformFromB"
    "itReverseInPlaceERKS4_S7_RKS3_S9_PS4_";
constexpr char ADD_NO_CHECK[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE15ModAddNoCheckEqERKS3_";
constexpr char ADD_IN_PLACE[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModAddEqERKS3_";
constexpr char ADD[] = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModAddERKS3_";
constexpr char SUBTRACT_IN_PLACE[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModSubEqERKS3_";
constexpr char SUBTRACT[] = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModSubERKS3_";
constexpr char MULTIPLY_NO_CHECK[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE15ModMulNoCheckEqERKS3_";
constexpr char MULTIPLY_IN_PLACE[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModMulEqERKS3_";
constexpr char MULTIPLY[] = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModMulERKS3_";
constexpr char MULTIPLY_SCALAR_IN_PLACE[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModMulEqERKS2_";
constexpr char MULTIPLY_SCALAR[] = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModMulERKS2_";
constexpr char ADD_SCALAR[] = "_ZNK6intnat13NativeVectorTINS_14NativeIntegerTImEEE6ModAddERKS2_";
constexpr char SUBTRACT_SCALAR_IN_PLACE[] = "_ZN6intnat13NativeVectorTINS_14NativeIntegerTImEEE8ModSubEqERKS2_";
constexpr char AUTOMORPHISM[] =
    "_ZNK8lbcrypto8PolyImplIN6intnat13NativeVectorTINS1_14NativeIntegerTImEEEEE21AutomorphismTransformEjRKSt6vect"
    "orIjSaIjEE";
constexpr char CONVERT_BASIS[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE20ApproxSwitchCRTBasisERKSt10shared_ptrIN"
    "S_12ILDCRTParamsIS4_EEESC_RKSt6vectorIN6intnat14NativeIntegerTImEESaISG_EESK_RKSD_ISI_SaISI_EERKSD_IoSaIoEE";
constexpr char DIVIDE_BY_P[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE13ApproxModDownERKSt10shared_ptrINS_12ILD"
    "CRTParamsIS4_EEESC_RKSt6vectorIN6intnat14NativeIntegerTImEESaISG_EESK_SK_SK_RKSD_ISI_SaISI_EERKSD_IoSaIoEESK"
    "_SK_RKSG_SK_";
constexpr char RESCALE[] =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE23DropLastElementAndScaleERKSt6vectorIN6in"
    "tnat14NativeIntegerTImEESaISA_EESE_";
constexpr char DECOMPOSE[] =
    "_ZNK8lbcrypto15KeySwitchHYBRID27EvalKeySwitchPrecomputeCoreERKNS_12DCRTPolyImplIN9bigintdyn9mubintvecINS2_5u"
    "bintImEEEEEESt10shared_ptrINS_20CryptoParametersBaseIS7_EEE";
constexpr char INNER_PRODUCT[] =
    "_ZNK8lbcrypto15KeySwitchHYBRID24EvalFastKeySwitchCoreExtESt10shared_ptrISt6vectorINS_12DCRTPolyImplIN9bigint"
    "dyn9mubintvecINS4_5ubintImEEEEEESaIS9_EEES1_INS_11EvalKeyImplIS9_EEES1_INS_12ILDCRTParamsIS7_EEE";
constexpr char SWITCH_DIGITS[] =
    "_ZNK8lbcrypto15KeySwitchHYBRID21EvalFastKeySwitchCoreESt10shared_ptrISt6vectorINS_12DCRTPolyImplIN9bigintdyn"
    "9mubintvecINS4_5ubintImEEEEEESaIS9_EEES1_INS_11EvalKeyImplIS9_EEES1_INS_12ILDCRTParamsIS7_EEE";
constexpr char COPY[] = "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEEC2ERKS6_";
constexpr char COPY_ASSIGN[] = "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEEaSERKS6_";
constexpr char CREATE[] =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEEC2ERKSt10shared_ptrINS_12ILDCRTParamsIS4_E"
    "EE6Formatb";
constexpr char POLYNOMIAL_PLUS[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE4PlusERKS6_";
constexpr char POLYNOMIAL_MINUS[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE5MinusERKS6_";
constexpr char POLYNOMIAL_TIMES[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE5TimesERKS6_";
constexpr char POLYNOMIAL_TIMES_SCALARS[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE5TimesERKSt6vectorIN6intnat14NativeIntege"
    "rTImEESaISA_EE";
constexpr char POLYNOMIAL_TIMES_FIRST_SCALARS[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE12TimesNoCheckERKSt6vectorIN6intnat14Nati"
    "veIntegerTImEESaISA_EE";
constexpr char POLYNOMIAL_ADD_IN_PLACE[] =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEEpLERKS6_";
constexpr char POLYNOMIAL_SUBTRACT_IN_PLACE[] =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEEmIERKS6_";
constexpr char POLYNOMIAL_MULTIPLY_IN_PLACE[] =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEEmLERKS6_";
constexpr char SWITCH_FORMAT[] =
    "_ZN8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE12SwitchFormatEv";
constexpr char POLYNOMIAL_AUTOMORPHISM[] =
    "_ZNK8lbcrypto12DCRTPolyImplIN9bigintdyn9mubintvecINS1_5ubintImEEEEE21AutomorphismTransformEjRKSt6vectorIjSaI"
    "jEE";
constexpr char COEFFS_TO_SLOTS[] =
    "_ZNK8lbcrypto10FHECKKSRNS17EvalCoeffsToSlotsERKSt6vectorIS1_ISt10shared_ptrIKNS_13PlaintextImplEESaIS5_EESaI"
    "S7_EERKS2_IKNS_14CiphertextImplINS_12DCRTPolyImplIN9bigintdyn9mubintvecINSE_5ubintImEEEEEEEEE";
constexpr char SLOTS_TO_COEFFS[] =
    "_ZNK8lbcrypto10FHECKKSRNS17EvalSlotsToCoeffsERKSt6vectorIS1_ISt10shared_ptrIKNS_13PlaintextImplEESaIS5_EESaI"
    "S7_EERKS2_IKNS_14CiphertextImplINS_12DCRTPolyImplIN9bigintdyn9mubintvecINSE_5ubintImEEEEEEEEE";

}  // namespace symbols
}  // namespace openfhe_shim
